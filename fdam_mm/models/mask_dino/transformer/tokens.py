"""Maps of several levels as one sequence of tokens, and back.

Legend of the shape comments: B batch, L levels, H x W grid of a level, N tokens of all levels,
C channels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Levels(NamedTuple):
    """Where the levels lie in the sequence."""

    sizes: tuple[tuple[int, int], ...]  # (H, W) of each level
    shapes: Tensor  # (L, 2) int64, the same as a tensor
    starts: Tensor  # (L,) int64, first token of each level

    @property
    def lengths(self) -> list[int]:
        """Tokens of each level."""
        return [height * width for height, width in self.sizes]


def flatten_maps(maps: Sequence[Tensor]) -> tuple[Tensor, Levels]:
    """Maps (B, C, H, W), one per level -> tokens (B, N, C) in the same order, and their levels."""
    tokens = torch.cat([m.flatten(2).transpose(1, 2) for m in maps], dim=1)
    sizes = tuple((m.shape[2], m.shape[3]) for m in maps)
    shapes = torch.tensor(sizes, device=tokens.device)
    ends = shapes.prod(1).cumsum(0)
    return tokens, Levels(sizes, shapes, torch.cat([ends.new_zeros(1), ends[:-1]]))


def split_tokens(tokens: Tensor, levels: Levels) -> list[Tensor]:
    """Tokens (B, N, C) -> maps (B, C, H, W), one per level."""
    parts = tokens.split(levels.lengths, dim=1)
    sizes = levels.sizes
    return [p.transpose(1, 2).unflatten(2, size) for p, size in zip(parts, sizes, strict=True)]


def centres(size: tuple[int, int], device: torch.device) -> Tensor:
    """Centres of a grid's cells as (x, y) in 0..1, (H * W, 2), row by row."""
    height, width = size
    y = (torch.arange(height, device=device) + 0.5) / height
    x = (torch.arange(width, device=device) + 0.5) / width
    return torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], dim=-1).flatten(0, 1)
