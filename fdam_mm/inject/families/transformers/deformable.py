"""Deformable encoders over several levels, and RT-DETR's encoder of one; no decoders."""

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
    nearest,
    register_adapter,
    widths,
)

from .names import ProjectedAttention, names

_LEVEL_SITES = (Site("self_attn.output_proj", "output", "levels"), Site("mlp", "output", "levels"))


@register_adapter(
    *names(
        "deformable_detr.DeformableDetrMultiscaleDeformableAttention",
        "mask2former.Mask2FormerPixelDecoderEncoderMultiscaleDeformableAttention",
    )
)
class DeformableAttention(AttentionAdapter):
    """``y`` is what was sampled; a token's own value projection is ``v``."""

    values, projection = "value_proj", "output_proj"
    in_known_blocks = True

    def __init__(self, attn: Any) -> None:
        self.dim, self.num_heads = widths(attn.output_proj)[0], attn.n_heads

    def v(self, call: Call) -> Tensor:
        return call.captured


@register_adapter(*names("deformable_detr.DeformableDetrEncoderLayer"))
class DeformableDetrBlock(BlockAdapter):
    """Level by level; the levels share the bases."""

    sites = _LEVEL_SITES
    sizes_position = 5  # of ``spatial_shapes_list`` among the arguments

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.self_attn.output_proj)[1]

    def levels(self, args: Args, kwargs: Kwargs) -> Sequence[Grid]:
        return args[self.sizes_position]


@register_adapter(*names("mask2former.Mask2FormerPixelDecoderEncoderLayer"))
class Mask2FormerBlock(DeformableDetrBlock):
    """Likewise; its MLP is no module of its own."""

    sites = (_LEVEL_SITES[0], Site("fc2", "output", "levels"))
    sizes_position = 4


@register_adapter(*names("rt_detr.RTDetrSelfAttention"))
class RTDetrAttention(ProjectedAttention):
    """Of all pixels of the coarsest map."""

    in_known_blocks = True


@register_adapter(*names("rt_detr.RTDetrEncoderLayer"))
class RTDetrBlock(BlockAdapter):
    """The grid is that of the map which enters, projected."""

    sites = (Site("self_attn.o_proj", "output", "tokens"), Site("mlp", "output", "tokens"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.self_attn.o_proj)[1]

    def grid_source(self, parents: Sequence[nn.Module]) -> nn.Module:
        encoder = nearest(parents, "aifi")
        index = next(i for i, layer in enumerate(encoder.aifi) if layer in parents)
        model = nearest(parents, "encoder_input_proj")
        return model.encoder_input_proj[encoder.encode_proj_layers[index]]


@register_adapter(
    *names(
        "deformable_detr.DeformableDetrDecoder",
        "mask2former.Mask2FormerMaskedAttentionDecoder",
        "rt_detr.RTDetrDecoder",
    )
)
class Decoder(NoAttInv):
    """Queries that are no pixels."""

    reason = "queries of a decoder have no grid"
