"""What stands before a model: resizing, normalisation, padding."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.runtime.description import Description, Size


class Preparation(nn.Module):
    """Pictures (B, h, w, 3) uint8 BGR -> what the model takes, (B, 3, H, W).

    With a ``size`` that is its size: a picture is resized to fit into it, as the config resizes
    (or not at all where it predicts windows), and padded at the right and at the bottom. Without
    one it is resized as the config does.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, about: Description, size: Size | None) -> None:
        super().__init__()
        self._about, self._size = about, size
        self.register_buffer("mean", torch.tensor(about.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(about.std).view(-1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """The input, whose ``fitted`` height and width at the top left are the picture."""
        fitted = self.fitted(image.shape[1], image.shape[2])
        x = image.permute(0, 3, 1, 2).float()
        if self.resizes:
            x = F.interpolate(x, fitted, mode="bilinear", align_corners=False)
        x = (x.flip(1) if self._about.bgr_to_rgb else x).sub(self.mean).div(self.std)
        if self._size is not None:
            x = F.pad(x, (0, self._size[1] - fitted[1], 0, self._size[0] - fitted[0]))
        return x

    @property
    def resizes(self) -> bool:
        about = self._about
        return about.stride is None and (self._size is not None or about.scale is not None)

    def fitted(self, height: int, width: int) -> Size:
        """What a picture is resized to; sides may be symbols, so all of it is of whole numbers."""
        about, size = self._about, self._size
        if not self.resizes:
            return height, width
        if size is not None:
            if about.scale is not None and not about.keep_ratio:
                return size
            return within(height, width, *size)
        assert about.scale is not None
        if not about.keep_ratio:
            return about.scale[1], about.scale[0]
        long, short = torch.sym_max(height, width), torch.sym_min(height, width)
        bounds = (max(about.scale), long), (min(about.scale), short)
        return _least(height, bounds), _least(width, bounds)


def within(height: int, width: int, bound_h: int, bound_w: int) -> Size:
    """The largest size of this ratio within the bounds."""
    bounds = (bound_h, height), (bound_w, width)
    return _least(height, bounds), _least(width, bounds)


def _least(side: int, factors: tuple[tuple[int, int], ...]) -> int:
    """``side`` times the least of the fractions, rounded as mmcv does, and at least 1."""
    rounded = ((2 * side * a + b) // (2 * b) for a, b in factors)
    return torch.sym_max(1, torch.sym_min(*rounded))
