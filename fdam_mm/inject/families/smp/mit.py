"""SegFormer's encoder, ``mit_b0`` to ``mit_b5``."""

from typing import Any

from fdam_mm.inject.adapter import AttentionAdapter, BlockAdapter, Grid, register_adapter
from fdam_mm.inject.families.timm.pyramid import ReducedAttention

_MIT = "segmentation_models_pytorch.encoders.mix_transformer"


@register_adapter(f"{_MIT}.Attention")
class MiTAttention(ReducedAttention):
    """Keys and values on a grid reduced by ``sr_ratio``."""

    def __init__(self, attn: Any) -> None:
        AttentionAdapter.__init__(self, attn)
        self.values = "kv" if attn.sr_ratio == 1 else None


@register_adapter(f"{_MIT}.Block")
class MiTBlock(BlockAdapter):
    """Takes (B, C, H, W), works on tokens."""

    def hw(self, args: tuple[Any, ...]) -> Grid:
        return args[0].shape[2:4]
