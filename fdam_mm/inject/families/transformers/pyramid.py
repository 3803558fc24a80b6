"""SegFormer (MiT) and PVT v2: keys and values on a reduced grid.

The values of the high path are the value projection of the unreduced input (the ``query``
reading).
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fdam_mm.inject.adapter import (
    AttentionAdapter,
    BlockAdapter,
    Call,
    Grid,
    Site,
    register_adapter,
    widths,
)

from .names import ProjectedAttention, names, unreduced_values


@register_adapter(*names("segformer.SegformerAttention"))
class SegformerAttention(ProjectedAttention):
    """Reduced by a strided convolution."""

    def __init__(self, attn: Any) -> None:
        super().__init__(attn)
        self.values = "v_proj" if attn.sequence_reduction_ratio == 1 else None

    def v(self, call: Call) -> Tensor:
        return unreduced_values(call, "v_proj") if self.values is None else call.captured


@register_adapter(*names("pvt_v2.PvtV2SelfAttention"))
class PVTAttention(AttentionAdapter):
    """Reduced by a strided convolution or by pooling."""

    def __init__(self, attn: Any) -> None:
        self.dim, self.num_heads = widths(attn.proj)[0], attn.num_attention_heads
        self.values = None if hasattr(attn, "spatial_reduction") else "value"

    def v(self, call: Call) -> Tensor:
        return unreduced_values(call, "value") if self.values is None else call.captured


@register_adapter(*names("segformer.SegformerLayer"))
class SegformerBlock(BlockAdapter):
    """Tokens, whose height and width are the second and third argument."""

    sites = (Site("attention.o_proj", "output", "tokens"), Site("mlp", "output", "tokens"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.get_submodule(self.sites[0].child))[1]

    def hw(self, args: tuple[Any, ...]) -> Grid:
        return args[1], args[2]


@register_adapter(*names("pvt_v2.PvtV2BlockLayer"))
class PVTBlock(SegformerBlock):
    """Likewise."""

    sites = (Site("attention.proj", "output", "tokens"), Site("mlp", "output", "tokens"))
