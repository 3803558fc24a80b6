"""``rfft2`` and its inverse on maps with channels last, with gradients that cost no more.

torch's gradient of ``rfft2`` fills the other half of the spectrum with zeros and runs a complex
FFT of the whole; both transforms are each other's gradient up to a factor of 2 on the columns
whose negative the half spectrum leaves out. Under torch.compile they are torch's own.

Legend of the shape comments: B batch, H x W grid, C channels, K_w = W // 2 + 1.
"""

from typing import Any

import torch
from torch import Tensor

from .fused import is_differentiated


def to_half_spectrum(x: Tensor) -> Tensor:
    """Maps (B, H, W, C) -> complex half spectra (B, C, H, K_w), ``norm="ortho"``."""
    return _forth(x) if torch.compiler.is_compiling() else _ToHalfSpectrum.apply(x)


def from_half_spectrum(spectrum: Tensor, width: int) -> Tensor:
    """The inverse, (B, C, H, K_w) -> (B, H, W, C), for grids of that width."""
    back = _back if torch.compiler.is_compiling() else _FromHalfSpectrum.apply
    return back(spectrum, width)


class _ToHalfSpectrum(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return _forth(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.width = inputs[0].shape[2]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        back = _FromHalfSpectrum.apply if is_differentiated() else _back
        return back(grad * _column_counts(grad, ctx.width).reciprocal(), ctx.width)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return _forth(tangent)


class _FromHalfSpectrum(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(spectrum: Tensor, width: int) -> Tensor:
        return _back(spectrum, width)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        ctx.width = inputs[1]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        forth = _ToHalfSpectrum.apply if is_differentiated() else _forth
        return forth(grad) * _column_counts(grad, ctx.width), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return _back(tangent, ctx.width)


def _forth(x: Tensor) -> Tensor:
    maps = _transposed(x.flatten(1, 2)).unflatten(2, x.shape[1:3])  # (B, C, H, W)
    # Over the last axes: torch.compile has the others' strides wrong.
    return torch.fft.rfft2(maps, norm="ortho")


def _back(spectrum: Tensor, width: int) -> Tensor:
    size = (spectrum.shape[2], width)
    maps = torch.fft.irfft2(spectrum, s=size, norm="ortho")  # (B, C, H, W)
    return _transposed(maps.flatten(2)).unflatten(1, size)


def _column_counts(like: Tensor, width: int) -> Tensor:
    """How often each column of the half spectrum stands in the whole one: (K_w,), real."""
    counts = torch.full((width // 2 + 1,), 2.0, dtype=like.real.dtype, device=like.device)
    counts[0] = 1
    if width % 2 == 0:
        counts[-1] = 1
    return counts


def _transposed(x: Tensor) -> Tensor:
    """(B, M, N) -> (B, N, M), contiguous."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return x.transpose(1, 2).contiguous()
    # Matrix by matrix, which torch transposes in tiles; a batch of them it does not.
    return torch.stack([matrix.t().contiguous() for matrix in x])
