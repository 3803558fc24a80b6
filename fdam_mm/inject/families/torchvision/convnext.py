"""ConvNeXt: FreqScale alone."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from fdam_mm.inject.adapter import BlockAdapter, Site, register_adapter


@register_adapter("torchvision.models.convnext.CNBlock")
class ConvNeXtBlock(BlockAdapter):
    """One sub-layer, before its LayerScale."""

    sites = (Site("block", "output", "nchw"),)

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = block.layer_scale.shape[0]
