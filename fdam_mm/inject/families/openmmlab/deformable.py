"""The deformable encoders of mmdet: Deformable DETR, DINO, Mask2Former; no decoders."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fdam_mm.inject.adapter import (
    Args,
    AttentionAdapter,
    BlockAdapter,
    Call,
    Grid,
    Kwargs,
    NoAttInv,
    Site,
    Unsupported,
    register_adapter,
    widths,
)

_LAYERS = "mmdet.models.layers.transformer"


@register_adapter("mmcv.ops.multi_scale_deform_attn.MultiScaleDeformableAttention")
class DeformableAttention(AttentionAdapter):
    """``y`` is what was sampled; a token's own value projection is ``v``."""

    values, projection = "value_proj", "output_proj"
    in_known_blocks = True

    def __init__(self, attn: Any) -> None:
        self.dim, self.num_heads = widths(attn.output_proj)[0], attn.num_heads
        if not attn.batch_first or self.dim != attn.embed_dims:
            raise Unsupported("its tokens are not batch first, or its values of another width")

    def v(self, call: Call) -> Tensor:
        return call.captured


@register_adapter(f"{_LAYERS}.deformable_detr_layers.DeformableDetrTransformerEncoderLayer")
class DeformableBlock(BlockAdapter):
    """Level by level; the levels share the bases."""

    sites = (Site("self_attn.dropout", "output", "levels"), Site("ffn.layers", "output", "levels"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = block.embed_dims

    def levels(self, args: Args, kwargs: Kwargs) -> Sequence[Grid]:
        return kwargs["spatial_shapes"].tolist()  # (L, 2)


@register_adapter(
    f"{_LAYERS}.detr_layers.DetrTransformerDecoder",
    f"{_LAYERS}.deformable_detr_layers.DeformableDetrTransformerDecoder",
    f"{_LAYERS}.dino_layers.DinoTransformerDecoder",
    f"{_LAYERS}.mask2former_layers.Mask2FormerTransformerDecoder",
)
class Decoder(NoAttInv):
    """Queries that are no pixels."""

    reason = "queries of a decoder have no grid"
