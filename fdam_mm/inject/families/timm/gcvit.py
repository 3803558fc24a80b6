"""GCViT: windows with their own queries or with global ones."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from fdam_mm.inject.adapter import AttentionAdapter, BlockAdapter, Site, register_adapter, widths


@register_adapter("timm.models.gcvit.WindowAttentionGlobal")
class GCViTAttention(AttentionAdapter):
    """With global queries ``qkv`` holds keys and values alone, the values last as ever."""


@register_adapter("timm.models.gcvit.GlobalContextVitBlock")
class GCViTBlock(BlockAdapter):
    """On the whole map: what enters ``ls1`` are the windows put back."""

    sites = (Site("ls1", "input", "nhwc"), Site("mlp", "output", "nhwc"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.attn.proj)[1]
