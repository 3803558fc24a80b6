"""FDAM as the paper writes it: an attention matrix, repeated gates, a complex FFT."""

import torch
from torch import Tensor, nn

from fdam_mm.layers import AttInv, AttInvAttention, FreqScale, reference
from fdam_mm.layers.autocast import float32_island


class _TextbookAttention(AttInvAttention):
    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)  # (B, h, N, d)
        attention = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
        return self.proj(self.att_inv(x, v, attention @ v))


class _TextbookAttInv(AttInv):
    def forward(self, x: Tensor, v: Tensor, y: Tensor) -> Tensor:
        if y.ndim > x.ndim:  # (B, h, N, d) -> (B, N, C)
            v, y = (t.transpose(1, 2).reshape(x.shape) for t in (v, y))
        return reference.att_inv(self, x, v, y)


class _TextbookFreqScale(FreqScale):
    def forward(
        self, x: Tensor, hw: tuple[int, int] | None = None, num_prefix_tokens: int = 0
    ) -> Tensor:
        with float32_island(x):  # FFTs of 16 bits are few
            if hw is None:
                return reference.freq_scale(self, x.float()).to(x.dtype)
            maps = x[:, num_prefix_tokens:].float().transpose(1, 2).unflatten(2, hw)
            out = reference.freq_scale(self, maps).flatten(2).transpose(1, 2).to(x.dtype)
        return torch.cat([x[:, :num_prefix_tokens], out], 1)

    def _fits_on_chip(self, x: Tensor, hw: tuple[int, int] | None) -> bool:
        return False


_TEXTBOOK = {
    AttInvAttention: _TextbookAttention,
    AttInv: _TextbookAttInv,
    FreqScale: _TextbookFreqScale,
}


def as_textbook(model: nn.Module) -> nn.Module:
    """``model`` with its FDAM layers changed in place to those of the textbook."""
    for module in model.modules():
        if type(module) in _TEXTBOOK:
            module.__class__ = _TEXTBOOK[type(module)]
    return model
