"""DaViT: window attention and channel attention in turn."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from fdam_mm.inject.adapter import BlockAdapter, Grid, NoAttInv, Site, register_adapter

from .qkv import QKVAttention


@register_adapter("timm.models.davit.WindowAttention")
class DaViTWindowAttention(QKVAttention):
    """Inside the window."""


@register_adapter("timm.models.davit.ChannelAttention", "timm.models.davit.ChannelAttentionV2")
class DaViTChannelAttention(NoAttInv):
    """Every token keeps its own channels' mixture."""

    reason = "channel attention averages channels, not tokens: no low-pass to invert"


class DaViTBlock(BlockAdapter):
    """Takes (B, C, H, W), works on tokens; one FreqScale where the block has no MLP."""

    attention: Site

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        super().__init__(block, parents)
        mlp = () if block.mlp is None else (Site("mlp", "output", "tokens"),)
        self.sites = (self.attention, *mlp)

    def hw(self, args: tuple[Any, ...]) -> Grid:
        return args[0].shape[2:4]


@register_adapter("timm.models.davit.SpatialBlock")
class DaViTSpatialBlock(DaViTBlock):
    """On the whole map: what enters ``drop_path1`` are the windows put back."""

    attention = Site("drop_path1", "input", "tokens")


@register_adapter("timm.models.davit.ChannelBlock")
class DaViTChannelBlock(DaViTBlock):
    """After channel attention as after any other sub-layer."""

    attention = Site("attn", "output", "tokens")
