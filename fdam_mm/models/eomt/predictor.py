"""What EoMT reads off its tokens: classes of the queries, and masks.

Legend of the shape comments: B batch, Q queries, K classes, C channels, h x w grid, u upscaling.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Prediction(NamedTuple):
    """Of all queries, before one of the last blocks or after them all."""

    logits: Tensor  # (B, Q, K + 1), no object last
    masks: Tensor  # (B, Q, h, w), logits on a grid over the whole input
    size: tuple[int, int]  # H, W of the input


class MapNorm(nn.LayerNorm):
    """A LayerNorm over the channels of (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Upscaling(nn.Sequential):
    """(B, C, h, w) -> (B, C, 2 h, 2 w): patches to quarters, then a look at the neighbours."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(channels, channels, 2, stride=2),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            MapNorm(channels, eps=1e-6),
        )


class Predictor(nn.Module):
    """Classes by a linear layer, masks as products of queries and upscaled patches.

    Args:
        channels: C of the tokens.
        num_classes: K.
        num_upscales: Doublings of the patches' grid.
    """

    def __init__(self, channels: int, num_classes: int, num_upscales: int) -> None:
        super().__init__()
        self.cls_embed = nn.Linear(channels, num_classes + 1)
        self.mask_embed = nn.Sequential(
            nn.Linear(channels, channels),
            nn.GELU(),
            nn.Linear(channels, channels),
            nn.GELU(),
            nn.Linear(channels, channels),
        )
        self.upscale = nn.Sequential(*(Upscaling(channels) for _ in range(num_upscales)))

    def forward(self, queries: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (B, Q, C), patches (B, C, h, w) -> logits (B, Q, K + 1) and (B, Q, uh, uw)."""
        maps = self.upscale(patches)
        masks = torch.einsum("bqc,bchw->bqhw", self.mask_embed(queries), maps)
        return self.cls_embed(queries), masks
