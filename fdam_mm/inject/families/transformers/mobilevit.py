"""MobileViT: tokens are the pixels of the same place in every patch."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fdam_mm.inject.adapter import (
    AttentionAdapter,
    BlockAdapter,
    Call,
    Grid,
    Site,
    nearest,
    register_adapter,
    widths,
)

from .names import names


@register_adapter(*names("mobilevit.MobileViTAttention"))
class MobileViTAttention(AttentionAdapter):
    """Between the pixels of one place in all patches."""

    values, projection = "attention.value", "output.dense"

    def __init__(self, attn: Any) -> None:
        self.dim = widths(attn.output.dense)[0]
        self.num_heads = attn.attention.num_attention_heads

    def v(self, call: Call) -> Tensor:
        return call.captured


@register_adapter(*names("mobilevit.MobileViTTransformerLayer"))
class MobileViTBlock(BlockAdapter):
    """The map is that of the patches, one for each place in them: every second pixel."""

    sites = (Site("attention", "output", "tokens"), Site("output.dense", "output", "tokens"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.attention.output.dense)[1]
        layer = nearest(parents, "conv_1x1")
        self.patch = layer.patch_height, layer.patch_width

    def grid_source(self, parents: Sequence[nn.Module]) -> nn.Module:
        return nearest(parents, "conv_1x1").conv_1x1

    def grid_of(self, size: Grid) -> Grid:
        return -(-size[0] // self.patch[0]), -(-size[1] // self.patch[1])
