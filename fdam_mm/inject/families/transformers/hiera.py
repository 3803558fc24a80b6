"""Hiera, and the image encoder of SAM 2, which is a Hiera on maps."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fdam_mm.inject.adapter import (
    AttentionAdapter,
    BlockAdapter,
    Grid,
    Layout,
    NoAttInv,
    Site,
    nearest,
    register_adapter,
    widths,
)

from .names import names

_POOLED = "queries are pooled and widened: no values of their own"


@register_adapter(*names("hiera.HieraMaskUnitAttention", "sam2.Sam2MultiScaleAttention"))
class HieraAttention(AttentionAdapter):
    """Mask units, windows or the whole map."""

    def __init__(self, attn: Any) -> None:
        self.dim = widths(attn.proj)[0]
        self.num_heads = getattr(attn, "num_heads", None) or attn.num_attention_heads
        if attn.query_stride not in (None, 1) or widths(attn.qkv)[0] != self.dim:
            self.reason = _POOLED


@register_adapter(*names("hiera.HieraLayer"))
class HieraBlock(BlockAdapter):
    """Tokens are put on the map, scaled, and put back; masked inputs are refused."""

    sites = (Site("attn.proj", "output", "tokens"), Site("mlp", "output", "tokens"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        super().__init__(block, parents)
        encoder = nearest(parents, "stages")
        holds = [any(layer is block for layer in stage.layers) for stage in encoder.stages]
        height, width = encoder.schedule[holds.index(True)][1]
        self.grid: Grid = (int(height), int(width))
        with torch.device("cpu"):  # a model may start on the meta device; this is data
            positions = torch.arange(self.grid[0] * self.grid[1]).view(1, -1, 1)
            self.order = encoder.reroll(positions, holds.index(True)).flatten()

    def hw(self, args: tuple[Any, ...]) -> Grid:
        return self.grid


@register_adapter(*names("sam2.Sam2MultiScaleBlock"))
class Sam2Block(BlockAdapter):
    """The attention returns windows, which FreqScale sees as the map."""

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        super().__init__(block, parents)
        self.stride = tuple(block.query_stride or (1, 1))
        layout: Layout = "windows" if block.window_size else "nhwc"
        self.sites = (Site("attn", "output", layout), Site("mlp", "output", "nhwc"))

    def hw(self, args: tuple[Any, ...]) -> Grid:
        height, width = args[0].shape[1:3]  # (B, H, W, C)
        return height // self.stride[0], width // self.stride[1]


@register_adapter(*names("sam2.Sam2MaskDecoder", "sam2.Sam2PromptEncoder"))
class Sam2Decoder(NoAttInv):
    """What stands behind the image encoder."""

    reason = "queries of a decoder have no grid"
