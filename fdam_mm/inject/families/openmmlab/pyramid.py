"""mmseg's MiT and Twins, mmdet's PVT and PVT v2; their reduced attention is torch's own."""

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
)
from fdam_mm.inject.families.rows import rows_of_windows


@register_adapter("mmseg.models.backbones.twins.LocallyGroupedSelfAttention")
class TwinsWindowAttention(AttentionAdapter):
    """``y`` is row by row over the map, ``qkv`` window by window over the padded map."""

    def v(self, call: Call) -> Tensor:
        return rows_of_windows(super().v(call), call.argument(1, "hw_shape"))


@register_adapter(
    "mmseg.models.backbones.mit.TransformerEncoderLayer",
    "mmdet.models.backbones.pvt.PVTEncoderLayer",
)
class MiTBlock(BlockAdapter):
    """Before the identity is added; the feed-forward network works on (B, C, H, W)."""

    sites = (Site("attn.proj_drop", "output", "tokens"), Site("ffn.layers", "output", "nchw"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = block.attn.embed_dims

    def hw(self, args: tuple[Any, ...]) -> Grid:
        return args[1]


@register_adapter("mmseg.models.backbones.twins.GSAEncoderLayer")
class TwinsBlock(MiTBlock):
    """Global attention."""

    sites = (Site("attn.proj_drop", "output", "tokens"), Site("ffn.layers", "output", "tokens"))


@register_adapter("mmseg.models.backbones.twins.LSAEncoderLayer")
class TwinsWindowBlock(TwinsBlock):
    """Attention in windows, which it puts back itself."""
