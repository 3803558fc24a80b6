"""Swin and Swin V2, whose attention reads the weights of its children without calling them."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.inject.adapter import AttentionAdapter, BlockAdapter, Site, register_adapter, widths
from fdam_mm.layers.children import bias_of


@register_adapter(
    "torchvision.models.swin_transformer.ShiftedWindowAttention",
    "torchvision.models.swin_transformer.ShiftedWindowAttentionV2",
)
class SwinAttention(AttentionAdapter):
    """Inside the window; the cosine attention of V2 changes A alone."""

    @staticmethod
    def forward(attn: Any, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        height, width = x.shape[1:3]
        window_h, window_w = attn.window_size
        x = F.pad(x, (0, 0, 0, -width % window_w, 0, -height % window_h))
        padded = x.shape[1:3]
        pairs = zip(attn.shift_size, attn.window_size, padded, strict=True)
        shift = [0 if window >= side else by for by, window, side in pairs]
        windows = _windows(x.roll([-by for by in shift], dims=(1, 2)), attn.window_size)
        bias = attn.get_relative_position_bias()  # (1, h, P, P), P pixels of a window
        if any(shift):
            bias = bias + _strangers(padded, attn.window_size, shift, bias)
        out = _attend(attn, windows, bias)
        out = F.dropout(attn.proj(out), attn.dropout, attn.training)
        out = _whole(out, padded, attn.window_size).roll(shift, dims=(1, 2))
        return out[:, :height, :width].contiguous()


def _attend(attn: Any, x: Tensor, bias: Tensor) -> Tensor:
    """Windows (B, n, P, C) -> (B, n, P, C), before the output projection."""
    q, k, value = attn.qkv(x).chunk(3, dim=-1)
    cosine = getattr(attn, "logit_scale", None)
    if cosine is not None:
        k = k - bias_of(attn.qkv, x).chunk(3)[1]  # V2 has no bias of the keys
    q, k, v = (t.unflatten(-1, (attn.num_heads, -1)).transpose(-3, -2) for t in (q, k, value))
    scale = None
    if cosine is not None:
        q = F.normalize(q, dim=-1) * cosine.clamp(max=math.log(100.0)).exp()
        k, scale = F.normalize(k, dim=-1), 1.0
    dropout = attn.attention_dropout if attn.training else 0.0
    q, k, bias = q.to(v.dtype), k.to(v.dtype), bias.to(v.dtype)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout, scale=scale)
    return attn.att_inv(x, value, y.transpose(-3, -2).flatten(-2))


def _windows(x: Tensor, window: Sequence[int]) -> Tensor:
    """(B, H, W, C) -> (B, n, P, C)."""
    x = x.unflatten(2, (-1, window[1])).unflatten(1, (-1, window[0]))
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def _whole(x: Tensor, size: Sequence[int], window: Sequence[int]) -> Tensor:
    """(B, n, P, C) -> (B, H, W, C)."""
    x = x.unflatten(2, (window[0], window[1]))
    x = x.unflatten(1, (size[0] // window[0], size[1] // window[1]))
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def _strangers(
    size: Sequence[int], window: Sequence[int], shift: Sequence[int], like: Tensor
) -> Tensor:
    """(n, 1, P, P): -100 between pixels that the shift brought together from opposite sides."""
    rows, columns = (
        _parts(side, width, by, like.device)
        for side, width, by in zip(size, window, shift, strict=True)
    )
    parts = _windows((3 * rows[:, None] + columns)[None, :, :, None], window)[0]  # (n, P, 1)
    return (parts != parts.transpose(1, 2)).to(like.dtype).mul(-100.0).unsqueeze(1)


def _parts(side: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Number of the part in which each row, or column, lies: before, at and past the seam."""
    position = torch.arange(side, device=device)
    return (position >= side - window).long() + (position >= side - shift) * (shift > 0)


@register_adapter("torchvision.models.swin_transformer.SwinTransformerBlock")
class SwinBlock(BlockAdapter):
    """On the whole map: the attention puts the windows back itself."""

    sites = (Site("attn", "output", "nhwc"), Site("mlp", "output", "nhwc"))

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.attn.proj)[1]


@register_adapter("torchvision.models.swin_transformer.SwinTransformerBlockV2")
class SwinV2Block(SwinBlock):
    """The norms stand after attention and MLP, and after FreqScale."""
