"""mmpretrain's VAN: FreqScale alone."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from fdam_mm.inject.adapter import BlockAdapter, NoAttInv, Site, register_adapter, widths


@register_adapter("mmpretrain.models.backbones.van.SpatialAttention")
class VANAttention(NoAttInv):
    """Large-kernel attention."""

    reason = "a gate from large-kernel convolutions, no softmax over tokens"


@register_adapter("mmpretrain.models.backbones.van.VANBlock")
class VANBlock(BlockAdapter):
    """After the large-kernel attention and after the feed-forward network."""

    sites = (Site("attn", "output", "nchw"), Site("mlp", "output", "nchw"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.attn.proj_1)[1]
