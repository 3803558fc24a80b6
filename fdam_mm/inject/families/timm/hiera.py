"""Hiera: attention in mask units and over the whole map, tokens in an order of its own."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fdam_mm.inject.adapter import AttentionAdapter, BlockAdapter, Grid, nearest, register_adapter


@register_adapter("timm.models.hiera.MaskUnitAttention")
class HieraAttention(AttentionAdapter):
    """Tokens leave in the order in which they came."""

    def __init__(self, attn: Any) -> None:
        self.dim, self.num_heads = attn.dim_out, attn.heads
        if attn.q_stride > 1 or attn.dim != attn.dim_out:
            self.reason = "queries are pooled and widened: no values of their own"


@register_adapter("timm.models.hiera.HieraBlock")
class HieraBlock(BlockAdapter):
    """Tokens are rolled back to the map, scaled, and unrolled; masked inputs are refused."""

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = block.dim_out
        model = nearest(parents, "reroll")
        index = [id(other) for other in model.blocks].index(id(block))
        _, size = model.reroll.schedule[index]
        self.grid: Grid = (int(size[0]), int(size[1]))
        with torch.device("cpu"):  # a model may start on the meta device; this is data
            positions = torch.arange(self.grid[0] * self.grid[1])
            self.order = model.reroll(positions.view(1, -1, 1), index).flatten()

    def hw(self, args: tuple[Any, ...]) -> Grid:
        return self.grid
