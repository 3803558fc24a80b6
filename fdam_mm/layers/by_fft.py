"""FreqScale by the FFT, with LayerScale and the residual.

On a CPU a few channels at a time, so that they stay in its cache from the map to its spectrum and
back. What is kept for the backward is the map; its spectrum is computed anew, and the gradient is
by the same transforms: a real weight on a spectrum is its own transpose.

Legend of the shape comments: B batch, H x W grid, C channels, S x T stored filter,
K_w = W // 2 + 1.
"""

from typing import Any

import torch
from torch import Tensor

from .autocast import float32_island
from .fourier import FourierGrid
from .fused import is_differentiated, plain_backward, run
from .residual import add_residual, residual

CACHED = 2**17  # numbers of maps: half a MiB, of which a CPU needs two or so at once


def add_filtered(
    x: Tensor, stored: Tensor, gamma: Tensor | None, shortcut: Tensor | None, grid: FourierGrid
) -> Tensor:
    """``shortcut + gamma * (x + filtered x)``, (B, H, W, C).

    Args:
        x: (B, H, W, C).
        stored: The filter, (B, C, S, T).
        gamma: (C,), or None for 1.
        shortcut: In the shape of ``x``, or None for 0.
        grid: The constants.
    """
    return run(_AddFiltered, _add_filtered, _plain, x, stored, gamma, shortcut, grid)


def resize(stored: Tensor, grid: FourierGrid) -> Tensor:
    """Filters (B, C, S, T) -> weights of the half spectrum, (B, C, H, K_w)."""
    return grid.all_rows @ stored @ grid.even_cols.t()


class _AddFiltered(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        stored: Tensor,
        gamma: Tensor | None,
        shortcut: Tensor | None,
        grid: FourierGrid,
    ) -> Tensor:
        ctx.save_for_backward(x, stored, gamma)
        ctx.grid, ctx.adds = grid, shortcut is not None
        return _add_filtered(x, stored, gamma, shortcut, grid)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grid = ctx.grid
        x, stored, gamma = ctx.saved_tensors
        with float32_island(grad):
            if is_differentiated():

                def plain(x: Tensor, stored: Tensor, gamma: Tensor | None) -> Tensor:
                    return _plain(x, stored, gamma, None, grid)

                grads = plain_backward(plain, (x, stored, gamma), grad)
            else:
                grads = _grads(grad, x, stored, gamma, grid)
        return *grads, grad if ctx.adds else None, None


def _grads(
    grad: Tensor, x: Tensor, stored: Tensor, gamma: Tensor | None, grid: FourierGrid
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of the map, the filter and γ."""
    width = x.shape[2]
    grad_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    grad_stored = torch.empty_like(stored)
    filters = stored if gamma is None else stored * gamma[:, None, None]
    columns = grid.even_cols * _column_counts(grid.even_cols, width)[:, None]
    for images in _images(x):
        maps, grads = _channels_first(x[images]), _channels_first(grad[images])
        for part in _parts(maps):
            spectrum, of_grad = _forth(maps[:, part]), _forth(grads[:, part])
            along = spectrum.conj_physical_().mul_(of_grad).real  # (b, c, H, K_w)
            grad_stored[images, part] = grid.all_rows.t() @ (along @ columns)
            of_grad.mul_(resize(filters[images, part], grid))
            grads[:, part] = _back(of_grad, width)
        _channels_last(grads, out=grad_x[images])
    add_residual(grad_x, grad, gamma, None)
    if gamma is None:
        return grad_x, grad_stored, None
    grad_gamma = (grad * x).sum((0, 1, 2)) + (grad_stored * stored).sum((0, 2, 3))
    return grad_x, grad_stored.mul_(gamma[:, None, None]), grad_gamma


def _add_filtered(
    x: Tensor, stored: Tensor, gamma: Tensor | None, shortcut: Tensor | None, grid: FourierGrid
) -> Tensor:
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    filters = stored if gamma is None else stored * gamma[:, None, None]
    for images in _images(x):
        maps = _channels_first(x[images])
        for part in _parts(maps):
            spectrum = _forth(maps[:, part]).mul_(resize(filters[images, part], grid))
            maps[:, part] = _back(spectrum, x.shape[2])
        _channels_last(maps, out=out[images])
    return add_residual(out, x, gamma, shortcut)


def _plain(
    x: Tensor, stored: Tensor, gamma: Tensor | None, shortcut: Tensor | None, grid: FourierGrid
) -> Tensor:
    spectrum = _forth(_channels_first(x))
    filtered = _back(spectrum * resize(stored, grid), x.shape[2]).permute(0, 2, 3, 1)
    return residual(x + filtered, gamma, shortcut)


def _images(x: Tensor) -> list[slice]:
    """Those of a batch that are computed at a time."""
    if x.device.type != "cpu":
        return [slice(None)]
    return [slice(image, image + 1) for image in range(x.shape[0])]


def _parts(maps: Tensor) -> list[slice]:
    """Channels of (B, C, H, W) that are computed at a time."""
    _, channels, height, width = maps.shape
    if maps.device.type != "cpu":
        return [slice(None)]
    few = max(1, CACHED // (height * width))
    return [slice(first, first + few) for first in range(0, channels, few)]


def _channels_first(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, C, H, W), in new memory."""
    return _transposed(x.flatten(1, 2)).unflatten(2, x.shape[1:3])


def _channels_last(x: Tensor, out: Tensor) -> None:
    """(B, C, H, W) -> (B, H, W, C), written to ``out``."""
    if x.shape[0] == 1:
        out[0].flatten(0, 1).copy_(x[0].flatten(1).t())
    else:
        out.copy_(x.permute(0, 2, 3, 1))


def _transposed(x: Tensor) -> Tensor:
    """(B, M, N) -> (B, N, M), contiguous."""
    if x.shape[0] == 1:  # a matrix alone is transposed in tiles
        return x[0].t().clone(memory_format=torch.contiguous_format)[None]
    return x.transpose(1, 2).clone(memory_format=torch.contiguous_format)


def _forth(maps: Tensor) -> Tensor:
    """Maps (B, C, H, W) -> complex half spectra (B, C, H, K_w)."""
    # Over the last axes: torch.compile has the others' strides wrong.
    return torch.fft.rfft2(maps, norm="ortho")


def _back(spectrum: Tensor, width: int) -> Tensor:
    """The inverse, for grids of that width."""
    return torch.fft.irfft2(spectrum, s=(spectrum.shape[2], width), norm="ortho")


def _column_counts(like: Tensor, width: int) -> Tensor:
    """How often each column of the half spectrum stands in the whole one: (K_w,)."""
    counts = torch.full((width // 2 + 1,), 2.0, dtype=like.dtype, device=like.device)
    counts[0] = 1
    if width % 2 == 0:
        counts[-1] = 1
    return counts
