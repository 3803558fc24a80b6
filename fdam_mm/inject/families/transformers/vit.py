"""Plain ViTs: ViT, DeiT, BEiT, DINOv2, DINOv3, the vision towers of CLIP and SigLIP, EoMT."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from fdam_mm.inject.adapter import (
    BlockAdapter,
    NoAttInv,
    Site,
    Unsupported,
    nearest,
    register_adapter,
    widths,
)

from .names import ProjectedAttention, names

# Parameters of an embedding that are tokens before the grid's.
_PREFIX = ("cls_token", "class_embedding", "distillation_token", "register_tokens")


@register_adapter(
    *names(
        "vit.ViTAttention",
        "deit.DeiTAttention",
        "beit.BeitAttention",
        "dinov2.Dinov2Attention",
        "dinov2_with_registers.Dinov2WithRegistersAttention",
        "dinov3_vit.DINOv3ViTAttention",
    )
)
class ViTAttention(ProjectedAttention):
    """Relative and rotary positions change A alone."""


@register_adapter(*names("clip.CLIPAttention", "siglip.SiglipAttention", "eomt.EomtAttention"))
class CLIPAttention(ProjectedAttention):
    """The same under another name of the output projection."""

    projection = "out_proj"
    in_known_blocks = True


@register_adapter(*names("siglip.SiglipMultiheadAttentionPoolingHead"))
class PoolingHead(NoAttInv):
    """Of SigLIP."""

    reason = "it pools all tokens into one"


@register_adapter(
    *names(
        "vit.ViTLayer",
        "deit.DeiTLayer",
        "beit.BeitLayer",
        "dinov2.Dinov2Layer",
        "dinov2_with_registers.Dinov2WithRegistersLayer",
        "dinov3_vit.DINOv3ViTLayer",
    )
)
class ViTBlock(BlockAdapter):
    """The grid is the patch embedding's; class, distillation and register tokens stay out."""

    sites = (Site("attention.o_proj", "output", "tokens"), Site("mlp", "output", "tokens"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.get_submodule(self.sites[0].child))[1]
        embeddings = nearest(parents, "embeddings").embeddings
        tokens = (getattr(embeddings, name, None) for name in _PREFIX)
        self.num_prefix_tokens = sum(
            1 if token.ndim == 1 else token.shape[1] for token in tokens if token is not None
        )

    def grid_source(self, parents: Sequence[nn.Module]) -> nn.Module:
        embeddings = nearest(parents, "embeddings").embeddings
        for module in embeddings.modules():
            if isinstance(module, nn.Conv2d):
                return module
        raise Unsupported(f"{type(embeddings).__name__} has no patch embedding: no grid")


@register_adapter(*names("clip.CLIPEncoderLayer", "siglip.SiglipEncoderLayer"))
class CLIPBlock(ViTBlock):
    """Of the vision tower; text has no grid, so ``include="vision_model.*"`` for both towers."""

    sites = (Site("self_attn.out_proj", "output", "tokens"), Site("mlp", "output", "tokens"))


@register_adapter(*names("eomt.EomtLayer"))
class EomtBlock(ViTBlock):
    """In the last blocks the queries stand before the other tokens, and out of the map too."""

    sites = (Site("attention.out_proj", "output", "tokens"), Site("mlp", "output", "tokens"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        super().__init__(block, parents)
        model = nearest(parents, "layers")
        index = [id(other) for other in model.layers].index(id(block))
        if index >= len(model.layers) - model.config.num_blocks:
            self.num_prefix_tokens += model.config.num_queries
