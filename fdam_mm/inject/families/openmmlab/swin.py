"""Swin, of mmseg, mmdet and mmpretrain."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from fdam_mm.inject.adapter import (
    AttentionAdapter,
    BlockAdapter,
    Grid,
    Site,
    register_adapter,
    widths,
)


@register_adapter(
    "mmseg.models.backbones.swin.WindowMSA",
    "mmdet.models.backbones.swin.WindowMSA",
    "mmpretrain.models.utils.attention.WindowMSA",
)
class SwinAttention(AttentionAdapter):
    """Inside the window."""


@register_adapter(
    "mmseg.models.backbones.swin.SwinBlock",
    "mmdet.models.backbones.swin.SwinBlock",
    "mmpretrain.models.backbones.swin_transformer.SwinBlock",
)
class SwinBlock(BlockAdapter):
    """On the whole map: what enters ``attn.drop`` are the windows put and shifted back."""

    sites = (Site("attn.drop", "input", "tokens"), Site("ffn.layers", "output", "tokens"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.attn.w_msa.proj)[1]

    def hw(self, args: tuple[Any, ...]) -> Grid:
        return args[1]
