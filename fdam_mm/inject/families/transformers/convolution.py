"""Models without softmax attention: FreqScale alone. ConvNeXt, DINOv3's ConvNeXt, FocalNet."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from fdam_mm.inject.adapter import BlockAdapter, Grid, Site, register_adapter, widths

from .names import names


@register_adapter(
    *names("convnext.ConvNextLayer", "convnextv2.ConvNextV2Layer"),
    *names("dinov3_convnext.DINOv3ConvNextLayer"),
)
class ConvNeXtBlock(BlockAdapter):
    """One sub-layer, before its LayerScale."""

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        child = "pwconv2" if hasattr(block, "pwconv2") else "pointwise_conv2"
        self.sites = (Site(child, "output", "nhwc"),)
        self.dim = widths(getattr(block, child))[1]


@register_adapter(*names("focalnet.FocalNetLayer"))
class FocalNetBlock(BlockAdapter):
    """After the focal modulation and after the MLP, before a norm that may follow."""

    sites = (Site("modulation", "output", "nhwc"), Site("mlp", "output", "tokens"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = block.dim

    def hw(self, args: tuple[Any, ...]) -> Grid:
        return args[1]
