"""The plain ViT; its attention is torch's own."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from fdam_mm.inject.adapter import BlockAdapter, Site, nearest, register_adapter


@register_adapter("torchvision.models.vision_transformer.EncoderBlock")
class ViTBlock(BlockAdapter):
    """The class token stays out. ``dropout`` is the last of the attention's sub-layer."""

    sites = (Site("dropout", "output", "tokens"), Site("mlp", "output", "tokens"))
    num_prefix_tokens = 1

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = block.self_attention.embed_dim

    def grid_source(self, parents: Sequence[nn.Module]) -> nn.Module:
        return nearest(parents, "conv_proj").conv_proj
