"""ConViT: gated positional attention, then plain attention with a class token."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from fdam_mm.inject.adapter import AttentionAdapter, BlockAdapter, nearest, register_adapter

from .qkv import QKVAttention


@register_adapter("timm.models.convit.GPSA")
class GatedPositionalAttention(AttentionAdapter):
    """A is a gated sum of a content and a position softmax; its rows still sum to one."""

    values = "v"


@register_adapter("timm.models.convit.MHSA")
class ConViTAttention(QKVAttention):
    """Plain attention."""


@register_adapter("timm.models.convit.Block")
class ConViTBlock(BlockAdapter):
    """The class token joins after the blocks with gated positional attention."""

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        super().__init__(block, parents)
        self.num_prefix_tokens = 0 if block.use_gpsa else 1

    def grid_source(self, parents: Sequence[nn.Module]) -> nn.Module:
        return nearest(parents, "patch_embed").patch_embed.proj
