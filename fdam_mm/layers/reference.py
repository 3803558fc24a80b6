"""Both layers as the paper writes them, with nothing fused.

Slow, and differentiable any number of times; the fast layers are tested and timed against these.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from .att_inv import HIGH_GATE_OFFSET, AttInv
from .freq_scale import FreqScale


def att_inv(layer: AttInv, x: Tensor, v: Tensor, y: Tensor) -> Tensor:
    """What ``layer(x, v, y)`` computes; all of shape (..., C)."""
    if not (layer.low or layer.high):
        return y
    phi = layer.act(x)
    head_dim = x.shape[-1] // layer.num_heads
    out = y
    if layer.low:
        low = torch.tanh(layer.low_gate(phi))
        out = out + layer.low_gamma * low.repeat_interleave(head_dim, dim=-1) * y
    if layer.high:
        s = F.softplus(layer.high_gate(phi))
        high = 2 * s**2 / (s**2 + HIGH_GATE_OFFSET)
        out = out + layer.high_gamma * high.repeat_interleave(head_dim, dim=-1) * (v - y)
    return out


def freq_scale(layer: FreqScale, x: Tensor) -> Tensor:
    """What ``layer(x)`` computes on a map (B, C, H, W)."""
    height, width = x.shape[-2:]
    routing = torch.tanh(layer.reweight(x.mean((2, 3))))
    routing = routing.unflatten(1, (layer.groups, layer.num_filters))  # (B, G, f)
    size = (height, width // 2 + 1)
    bases: Tensor = layer.bases  # (f, c, S, S // 2 + 1)
    if bases.shape[-2:] != size:
        bases = F.interpolate(bases, size, mode="bicubic", align_corners=True)
    weight = torch.einsum("bgf,fchw->bgchw", routing, bases).flatten(1, 2)
    spectrum = torch.fft.rfft2(x, norm="ortho") * weight
    return x + torch.fft.irfft2(spectrum, s=(height, width), norm="ortho")
