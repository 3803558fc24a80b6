"""Swin, Swin V2 and timm's other Swin V2, ``swinv2_cr_*``."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from fdam_mm.inject.adapter import BlockAdapter, Grid, Site, register_adapter

from .qkv import QKVAttention, SeparateBiasAttention


@register_adapter(
    "timm.models.swin_transformer.WindowAttention",
    "timm.models.swin_transformer_v2_cr.WindowMultiHeadAttention",
)
class SwinAttention(QKVAttention):
    """Inside the window."""


@register_adapter("timm.models.swin_transformer_v2.WindowAttention")
class SwinV2Attention(SeparateBiasAttention):
    """Inside the window; cosine attention changes A alone."""


@register_adapter("timm.models.swin_transformer.SwinTransformerBlock")
class SwinBlock(BlockAdapter):
    """On the whole map: what enters ``drop_path1`` are the windows put and shifted back."""

    sites = (Site("drop_path1", "input", "nhwc"), Site("mlp", "output", "tokens"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = block.dim

    def hw(self, args: tuple[Any, ...]) -> Grid:
        return args[0].shape[1:3]  # (B, H, W, C)


@register_adapter(
    "timm.models.swin_transformer_v2.SwinTransformerV2Block",
    "timm.models.swin_transformer_v2_cr.SwinTransformerV2CrBlock",
)
class SwinV2Block(SwinBlock):
    """The residual adds ``norm(attn(x))``; FreqScale acts before that norm, on the whole map."""

    sites = (Site("norm1", "input", "nhwc"), Site("mlp", "output", "tokens"))
