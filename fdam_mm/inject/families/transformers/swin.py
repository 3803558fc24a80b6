"""Swin and Swin V2."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fdam_mm.inject.adapter import (
    AttentionAdapter,
    BlockAdapter,
    Call,
    Grid,
    Site,
    register_adapter,
    widths,
)

from .names import ProjectedAttention, names


@register_adapter(*names("swin.SwinAttention"))
class SwinAttention(ProjectedAttention):
    """Inside the window."""


@register_adapter(*names("swinv2.Swinv2Attention"))
class SwinV2Attention(AttentionAdapter):
    """Inside the window; the cosine attention changes A alone."""

    values, projection = "self.value", "output.dense"

    def __init__(self, attn: Any) -> None:
        self.dim = widths(attn.output.dense)[0]
        self.num_heads = attn.get_submodule("self").num_attention_heads

    def v(self, call: Call) -> Tensor:
        return call.captured


@register_adapter(*names("swin.SwinLayer"))
class SwinBlock(BlockAdapter):
    """On the whole map: what enters ``drop_path`` are the windows put and shifted back."""

    sites = (Site("drop_path", "input", "tokens"), Site("mlp", "output", "tokens"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = block.layernorm_before.normalized_shape[0]

    def hw(self, args: tuple[Any, ...]) -> Grid:
        return args[1]


@register_adapter(*names("swinv2.Swinv2Layer"))
class SwinV2Block(SwinBlock):
    """Before the norms, which stand after attention and MLP."""

    sites = (Site("layernorm_before", "input", "tokens"), Site("output", "output", "tokens"))
