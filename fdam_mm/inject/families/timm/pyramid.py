"""PVT v2 and Twins: keys and values on a reduced grid, and Twins' windows.

Where keys and values are reduced, the values of the high path are the value projection applied to
the unreduced input: ``v_q - y`` is a high-pass of full resolution, and the plain form where
nothing is reduced (the ``query`` reading).
"""

from typing import Any

from torch import Tensor

from fdam_mm.inject.adapter import AttentionAdapter, BlockAdapter, Call, Grid, register_adapter
from fdam_mm.inject.families.rows import rows_of_windows
from fdam_mm.layers.children import part_of

from .qkv import QKVAttention


@register_adapter(
    "timm.models.pvt_v2.Attention",
    "timm.models.twins.GlobalSubSampleAttn",
)
class ReducedAttention(AttentionAdapter):
    """Children ``q``, ``kv`` and, where the grid is reduced, ``sr``."""

    def __init__(self, attn: Any) -> None:
        super().__init__(attn)
        self.values = "kv" if attn.sr is None else None

    def v(self, call: Call) -> Tensor:
        if self.values is not None:
            return super().v(call)
        return part_of(call.attn.kv, self.x(call), lambda both: both[..., self.dim :])


@register_adapter("timm.models.twins.LocallyGroupedAttn")
class TwinsWindowAttention(QKVAttention):
    """``y`` is row by row over the map, ``qkv`` window by window over the padded map."""

    def v(self, call: Call) -> Tensor:
        return rows_of_windows(super().v(call), call.argument(1))


@register_adapter("timm.models.pvt_v2.Block", "timm.models.twins.Block")
class PyramidBlock(BlockAdapter):
    """Tokens, whose grid is the block's second argument."""

    def hw(self, args: tuple[Any, ...]) -> Grid:
        return args[1]
