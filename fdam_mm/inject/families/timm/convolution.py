"""Models without softmax attention: FreqScale alone. FocalNet, ConvNeXt, MambaOut."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from fdam_mm.inject.adapter import BlockAdapter, Site, register_adapter, widths


@register_adapter("timm.models.focalnet.FocalNetBlock")
class FocalNetBlock(BlockAdapter):
    """After the focal modulation and after the MLP, before a norm that may follow."""

    sites = (Site("modulation", "output", "nchw"), Site("mlp", "output", "nchw"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = block.dim


@register_adapter("timm.models.convnext.ConvNeXtBlock")
class ConvNeXtBlock(BlockAdapter):
    """One sub-layer: the depthwise convolution and the MLP together."""

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.conv_dw)[1]
        self.sites = (Site("mlp", "output", "nchw" if block.use_conv_mlp else "nhwc"),)


@register_adapter("timm.models.mambaout.GatedConvBlock")
class MambaOutBlock(BlockAdapter):
    """One sub-layer: the gated convolution."""

    sites = (Site("ls", "input", "nhwc"),)

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.fc2)[1]
