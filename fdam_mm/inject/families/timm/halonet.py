"""HaloNet: attention of blocks of pixels to themselves and a halo around them."""

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


@register_adapter("timm.layers.halo_attn.HaloAttn")
class HaloAttention(AttentionAdapter):
    """(B, C, H, W). There is no output projection: ``y`` enters ``pool``, often the identity.

    The values of a query are those of its own pixel, whatever halo its block sees.
    """

    values, projection, channels_first = "kv", "pool", True

    def __init__(self, attn: Any) -> None:
        self.dim, self.num_heads = attn.dim_out_v, attn.num_heads
        self.dim_head_qk = attn.dim_head_qk
        require_same_width(widths(attn.kv)[0], self.dim)
        if attn.block_stride > 1:
            self.reason = "strided queries: fewer than the values"

    def v(self, call: Call) -> Tensor:
        kv = call.captured.unflatten(1, (self.num_heads, -1))  # (B, h, d_k + d_v, H, W)
        return kv[:, :, self.dim_head_qk :].flatten(1, 2)


@register_adapter("timm.models.byobnet.SelfAttnBlock")
class SelfAttentionBlock(BlockAdapter):
    """One sub-layer, a bottleneck around the attention; convolution blocks are left alone."""

    sites = (Site("drop_path", "input", "nchw"),)

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.conv3_1x1)[1]
