"""What a user would pick in FDAM's place, as options of the same backbone.

Each stands where a layer of FDAM does: in AttInv's place it gets the values and the result of an
attention, in FreqScale's what a sub-layer adds. They are written from their papers' formulas.
"""

from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from fdam_mm.models.backbones import FDAMVisionTransformer


class AttnScale(nn.Module):
    """The high-pass part of the attention scaled by 1 + ω, one per head (Wang et al., ICLR 2022).

    With A = 1/n + (A - 1/n), what is left of the values' mean is scaled::

        out = mean(v) + (1 + ω) (y - mean(v)),   y = A v

    Shape: as :class:`fdam_mm.layers.AttInv` with heads, (B, h, N, d) -> (B, N, h d).
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.omega = nn.Parameter(torch.zeros(num_heads, 1, 1))

    def forward(self, x: Tensor, v: Tensor, y: Tensor) -> Tensor:
        mean = v.mean(-2, keepdim=True)  # (B, h, 1, d)
        return _join_heads(mean + (1 + self.omega) * (y - mean))


class NeuTRENO(nn.Module):
    """The first layer's values pull on those of each layer (Nguyen et al., NeurIPS 2023).

    ::

        out = y + λ (v of the first layer - v)

    Args:
        first: The layer that saw the first values; None where this is it.
        strength: λ.

    Shape: (B, h, N, d) -> (B, N, h d).
    """

    def __init__(self, first: "NeuTRENO | None", strength: float = 0.6) -> None:
        super().__init__()
        self.strength = strength
        self._first = [first or self]  # in a list: it is no child
        self.values = torch.empty(0)

    def forward(self, x: Tensor, v: Tensor, y: Tensor) -> Tensor:
        (first,) = self._first
        if first is self:
            self.values = v
        return _join_heads(y + self.strength * (first.values - v))


class FeatScale(nn.Module):
    """Two bands of what attention returns, each with a weight (Wang et al., ICLR 2022).

    With DC(x) the mean over all tokens, s and t one per channel::

        out = x + s DC(x) + t (x - DC(x))

    Shape: (B, N, C) -> the same, as :class:`fdam_mm.layers.FreqScale` on tokens.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.low, self.high = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim))

    def forward(
        self, x: Tensor, hw: tuple[int, int] | None = None, num_prefix_tokens: int = 0
    ) -> Tensor:
        mean = x.mean(1, keepdim=True)
        return x + self.low * mean + self.high * (x - mean)

    def add_to(
        self,
        shortcut: Tensor,
        x: Tensor,
        hw: tuple[int, int] | None = None,
        num_prefix_tokens: int = 0,
        gamma: Tensor | None = None,
    ) -> Tensor:
        out = self(x)
        return shortcut + (out if gamma is None else gamma * out)


RIVALS = ("AttnScale", "FeatScale", "NeuTRENO")


@MODELS.register_module()
class RivalVisionTransformer(FDAMVisionTransformer):
    """The plain backbone with a rival's layers in every block.

    Args:
        rival: One of ``RIVALS``.
        num_heads, embed_dims, **settings: As of :class:`FDAMVisionTransformer`.
    """

    def __init__(self, rival: str, embed_dims: int, num_heads: int, **settings: Any) -> None:
        super().__init__(embed_dims=embed_dims, num_heads=num_heads, **settings)
        first = None
        for block in self.blocks:
            if rival == "AttnScale":
                block.attn.att_inv = AttnScale(num_heads)
            elif rival == "NeuTRENO":
                block.attn.att_inv = NeuTRENO(first)
                first = first or block.attn.att_inv
            elif rival == "FeatScale":
                block.freq_scale_1 = FeatScale(embed_dims)
            else:
                raise ValueError(f"rival is {rival!r}, expected one of {', '.join(RIVALS)}")


def _join_heads(x: Tensor) -> Tensor:
    """(B, h, N, d) -> (B, N, h d)."""
    return x.transpose(-3, -2).flatten(-2)
