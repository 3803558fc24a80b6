"""FreqScale by Fourier matrices, with LayerScale and the residual, in few passes over memory.

Two operations: to the spectrum, whose first entry is the map's mean, and back from its scaled
form. Between them the routing MLP makes the filter from the mean. What is kept for the backward
is the spectrum, one map. Its gradient carries that of the residual too: both are one pass back.

Legend of the shape comments: B batch, H x W grid, C channels, S x T stored filter.
"""

import math
from typing import Any

import torch
from torch import Tensor

from .autocast import float32_island
from .fourier import FourierGrid
from .fused import is_differentiated, is_recorded, needs_plain, plain_backward
from .residual import new_residual, residual
from .spectrum import plain_scale, resize, resize_back, scale, weight_grads


def to_spectrum(x: Tensor, grid: FourierGrid) -> tuple[Tensor, Tensor]:
    """Maps (B, H, W, C) -> their spectra, likewise, and their means (B, C)."""
    if needs_plain() or not is_recorded([x]):
        return _to_spectrum(x, grid)
    return _ToSpectrum.apply(x, grid)


def add_filtered(
    x: Tensor,
    spectrum: Tensor,
    stored: Tensor,
    gamma: Tensor | None,
    shortcut: Tensor | None,
    grid: FourierGrid,
) -> Tensor:
    """``shortcut + gamma * (x + filtered x)``, (B, H, W, C).

    Args:
        x: (B, H, W, C).
        spectrum: That of ``x`` by :func:`to_spectrum`, which is written over where nothing is
            recorded.
        stored: The filter, (B, C, S, T).
        gamma: (C,), or None for 1.
        shortcut: In the shape of ``x``, or None for 0.
        grid: The constants.
    """
    if needs_plain():
        return _plain_add_filtered(x, spectrum, stored, gamma, shortcut, grid)
    if is_recorded([spectrum, stored, gamma, shortcut]):
        return _AddFiltered.apply(spectrum, stored, gamma, shortcut, x.detach(), grid)
    return _add_filtered(x, spectrum, stored, gamma, shortcut, grid, spectrum)


class _ToSpectrum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: FourierGrid) -> tuple[Tensor, Tensor]:
        ctx.grid = grid
        return _to_spectrum(x, grid)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, grad_mean: Tensor) -> tuple[Tensor, None]:
        rows, cols = ctx.grid.rows.t(), ctx.grid.cols.t()
        with float32_island(grad):
            height, width = grad.shape[1:3]
            along_h = cols @ grad  # (B, H, W, C), frequencies of H
            if is_differentiated():
                of_mean = grad_mean[:, None, None] / (height * width)
                grad_x = (rows @ along_h.flatten(2)).view_as(grad) + of_mean
            else:
                along_h[:, 0] += grad_mean[:, None] / (math.sqrt(height) * width)
                grad_x = (rows @ along_h.flatten(2)).view_as(grad)
        return grad_x, None


class _AddFiltered(torch.autograd.Function):
    """A function of the spectrum alone: ``x`` saves its way there and back in the forward."""

    @staticmethod
    def forward(
        ctx: Any,
        spectrum: Tensor,
        stored: Tensor,
        gamma: Tensor | None,
        shortcut: Tensor | None,
        x: Tensor,
        grid: FourierGrid,
    ) -> Tensor:
        ctx.save_for_backward(spectrum, stored, gamma)
        ctx.grid, ctx.adds = grid, shortcut is not None
        return _add_filtered(x, spectrum, stored, gamma, shortcut, grid, None)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        spectrum, stored, gamma = ctx.saved_tensors
        grid = ctx.grid
        with float32_island(grad):
            if is_differentiated():

                def plain(spectrum: Tensor, stored: Tensor, gamma: Tensor | None) -> Tensor:
                    x = _from_spectrum(spectrum, grid)
                    return _plain_add_filtered(x, spectrum, stored, gamma, None, grid)

                grads = plain_backward(plain, (spectrum, stored, gamma), grad)
            else:
                grads = _grads(grad, spectrum, stored, gamma, grid)
        return *grads, grad if ctx.adds else None, None, None


def _grads(
    grad: Tensor, spectrum: Tensor, stored: Tensor, gamma: Tensor | None, grid: FourierGrid
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of the spectrum, the filter and γ, from that of the result."""
    along_h = grid.rows @ grad.flatten(2)  # (B, H, W * C)
    along_h = along_h.view(grad.shape)
    grad = grid.cols @ along_h  # of the scaled spectrum, before γ
    even, odd = resize(stored, grid)
    grad_even, grad_odd = weight_grads(grad, spectrum, even, odd)
    grad_stored = resize_back(grad_even, grad_odd, grid)
    grad_gamma = None
    even += 1  # of the residual
    if gamma is not None:
        # Transforms keep scalar products, and both summands are linear in their weights, 1 and A.
        grad_gamma = grad_even.sum((0, 1, 2)) + (grad_stored * stored).sum((0, 2, 3))
        grad_stored = grad_stored * gamma[:, None, None]
        even, odd = even.mul_(gamma), odd.mul_(gamma)
    return scale(grad, even, odd, out=along_h), grad_stored, grad_gamma


def _to_spectrum(x: Tensor, grid: FourierGrid) -> tuple[Tensor, Tensor]:
    height, width = x.shape[1:3]
    along_h = grid.rows @ x.flatten(2)  # (B, H, W * C)
    spectrum = grid.cols @ along_h.unflatten(2, (width, -1))
    return spectrum, spectrum[:, 0, 0] * (height * width) ** -0.5


def _from_spectrum(spectrum: Tensor, grid: FourierGrid) -> Tensor:
    along_h = (grid.cols.t() @ spectrum).flatten(2)
    return (grid.rows.t() @ along_h).view_as(spectrum)


def _add_filtered(
    x: Tensor,
    spectrum: Tensor,
    stored: Tensor,
    gamma: Tensor | None,
    shortcut: Tensor | None,
    grid: FourierGrid,
    spare: Tensor | None,
) -> Tensor:
    """:func:`add_filtered`; ``spare`` is memory for a map, which may be the spectrum's."""
    even, odd = resize(stored if gamma is None else stored * gamma[:, None, None], grid)
    scaled = scale(spectrum, even, odd, out=torch.empty_like(spectrum)).flatten(0, 1)
    batch, height = x.shape[:2]
    back = grid.cols.t().expand(batch * height, -1, -1)
    spare = spare if spare is None else spare.view(scaled.shape)
    along_h = torch.bmm(back, scaled, out=spare).view(x.shape).flatten(2)
    out = new_residual(x, gamma, shortcut)
    out.flatten(2).baddbmm_(grid.rows.t().expand(batch, -1, -1), along_h)
    return out


def _plain_add_filtered(
    x: Tensor,
    spectrum: Tensor,
    stored: Tensor,
    gamma: Tensor | None,
    shortcut: Tensor | None,
    grid: FourierGrid,
) -> Tensor:
    scaled = plain_scale(spectrum, *resize(stored, grid))
    return residual(x + _from_spectrum(scaled, grid), gamma, shortcut)
