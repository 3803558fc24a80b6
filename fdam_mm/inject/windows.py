"""Windows of a map, row by row, of which the last of a row or column may hold padding."""

from torch import Tensor
from torch.nn import functional as F


class Windows:
    """Puts windows (B * P, h, w, C) on their map (B, H, W, C), and back.

    Args:
        windows: As above.
        hw: The map's own height and width, without the padding.
    """

    def __init__(self, windows: Tensor, hw: tuple[int, int]) -> None:
        self.windows, self.hw = windows, hw
        self.side = int(windows.shape[1]), int(windows.shape[2])
        self.number = -(-hw[0] // self.side[0]), -(-hw[1] // self.side[1])

    def map(self) -> Tensor:
        rows = self.windows.unflatten(0, (-1, *self.number)).transpose(2, 3)
        return rows.flatten(3, 4).flatten(1, 2)[:, : self.hw[0], : self.hw[1]]

    def apart(self, x: Tensor) -> Tensor:
        """The windows of a map, with zeros for padding."""
        height, width = (n * side for n, side in zip(self.number, self.side, strict=True))
        x = F.pad(x, (0, 0, 0, width - self.hw[1], 0, height - self.hw[0]))
        x = x.unflatten(2, (-1, self.side[1])).unflatten(1, (-1, self.side[0]))
        return x.transpose(2, 3).flatten(0, 2)
