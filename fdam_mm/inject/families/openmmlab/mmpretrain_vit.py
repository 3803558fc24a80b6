"""mmpretrain's ViT, DINOv2 among them, and DeiT-III."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from fdam_mm.inject.adapter import (
    AttentionAdapter,
    BlockAdapter,
    Site,
    nearest,
    register_adapter,
    widths,
)


@register_adapter("mmpretrain.models.utils.attention.MultiheadAttention")
class MultiheadAttention(AttentionAdapter):
    """Plain attention, in blocks that have an adapter."""

    in_known_blocks = True


@register_adapter(
    "mmpretrain.models.backbones.vision_transformer.TransformerEncoderLayer",
    "mmpretrain.models.backbones.deit3.DeiT3TransformerEncoderLayer",
)
class ViTBlock(BlockAdapter):
    """Before LayerScale; the class token stays out."""

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        last = "ffn.layers" if hasattr(block.ffn, "layers") else "ffn.w3"  # an MLP, or SwiGLU
        self.sites = (Site("attn.proj_drop", "output", "tokens"), Site(last, "output", "tokens"))
        self.dim = widths(block.attn.proj)[1]
        model = nearest(parents, "patch_embed")
        self.num_prefix_tokens = int(model.cls_token is not None)

    def grid_source(self, parents: Sequence[nn.Module]) -> nn.Module:
        return nearest(parents, "patch_embed").patch_embed.projection
