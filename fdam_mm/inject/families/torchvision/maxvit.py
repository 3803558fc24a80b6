"""MaxViT: attention in windows and on grids."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fdam_mm.inject.adapter import (
    Args,
    AttentionAdapter,
    BlockAdapter,
    Call,
    Grid,
    Site,
    register_adapter,
    widths,
)


@register_adapter("torchvision.models.maxvit.RelativePositionalMultiHeadAttention")
class MaxViTAttention(AttentionAdapter):
    """Partitions (B, P, N / P, C)."""

    values, projection = "to_qkv", "merge"

    def __init__(self, attn: Any) -> None:
        self.dim, self.num_heads = widths(attn.merge)[0], attn.n_heads

    def v(self, call: Call) -> Tensor:
        return call.captured.chunk(3, dim=-1)[2]


@register_adapter("torchvision.models.maxvit.PartitionAttentionLayer")
class MaxViTBlock(BlockAdapter):
    """The residuals are added partition by partition; FreqScale sees the whole map."""

    sites = (Site("attn_layer", "output", "partitions"), Site("mlp_layer", "output", "partitions"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.attn_layer[1].merge)[1]
        self.grid: Grid = (int(block.grid_size[0]), int(block.grid_size[1]))
        with torch.device("cpu"):  # a model may start on the meta device; this is data
            points = torch.arange(self.grid[0] * self.grid[1]).view(1, 1, *self.grid)
            partitions = block.partition_swap(block.partition_op(points, block.p))
            self.order = torch.argsort(partitions.flatten())

    def hw(self, args: Args) -> Grid:
        return self.grid
