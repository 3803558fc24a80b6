"""MaxViT, CoAtNet and their relatives: attention in blocks, on grids, or on the whole map."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fdam_mm.inject.adapter import (
    AttentionAdapter,
    BlockAdapter,
    Call,
    Site,
    register_adapter,
    widths,
)

from .qkv import require_same_width


@register_adapter("timm.models.maxxvit.AttentionCl")
class PartitionAttention(AttentionAdapter):
    """Partitions (..., C). ``qkv`` may hold q, k and v head by head."""

    def __init__(self, attn: Any) -> None:
        super().__init__(attn)
        require_same_width(widths(attn.qkv)[0], self.dim)
        self.head_first = attn.head_first

    def v(self, call: Call) -> Tensor:
        return _values(call.captured, self.num_heads, self.head_first)


@register_adapter("timm.models.maxxvit.Attention2d")
class MapAttention(AttentionAdapter):
    """The same on (B, C, H, W)."""

    channels_first = True

    def __init__(self, attn: Any) -> None:
        self.dim, self.num_heads = widths(attn.proj)[0], attn.num_heads
        self.head_first = attn.head_first
        if widths(attn.qkv)[0] != self.dim:
            self.reason = "its input and its values differ in channels"

    def v(self, call: Call) -> Tensor:
        qkv = call.captured.movedim(1, -1)
        return _values(qkv, self.num_heads, self.head_first).movedim(-1, 1)


def _values(qkv: Tensor, num_heads: int, head_first: bool) -> Tensor:
    """(..., 3 C) -> (..., C); channels are (h, 3, d) with ``head_first``, else (3, h, d)."""
    if not head_first:
        return qkv.chunk(3, dim=-1)[2]
    return qkv.unflatten(-1, (num_heads, 3, -1))[..., 2, :].flatten(-2)


@register_adapter("timm.models.maxxvit.PartitionAttentionCl")
class PartitionBlock(BlockAdapter):
    """On the whole map: what enters ``ls1`` are the partitions put back."""

    sites = (Site("ls1", "input", "nhwc"), Site("mlp", "output", "nhwc"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.attn.proj)[1]


@register_adapter("timm.models.maxxvit.PartitionAttention2d")
class PartitionBlock2d(BlockAdapter):
    """The same on (B, C, H, W)."""

    sites = (Site("ls1", "input", "nchw"), Site("mlp", "output", "nchw"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.attn.proj)[1]


@register_adapter("timm.models.maxxvit.TransformerBlock2d")
class MapBlock(PartitionBlock2d):
    """CoAtNet: attention over the whole map, which the block may have made smaller."""
