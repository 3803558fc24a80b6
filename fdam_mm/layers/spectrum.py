"""Weights on a real spectrum, given by a small filter that is resized to it.

Legend of the shape comments: B batch, H x W grid, C channels, S x T stored filter, P_h and P_w
numbers of paired frequencies.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .fourier import FourierGrid
from .fused import is_differentiated, is_exporting, keep_inputs, plain_backward, plain_jvp


def scale_spectrum(spectrum: Tensor, weight: Tensor, grid: FourierGrid) -> Tensor:
    """Apply a real filter, given on the stored half spectrum, to a spectrum of ``grid``.

    With A and D of :class:`~fdam_mm.layers.fourier.FourierGrid` and the quadrants cc, cs, sc, ss
    (cosine or sine along H, then W)::

        cc' = A cc - D ss     ss' = A ss - D cc     sc' = A sc + D cs     cs' = A cs + D sc

    Args:
        spectrum: (B, H, W, C), by the Fourier matrices of both sides.
        weight: (B, S, T, C).
        grid: The constants.
    """
    scale = _plain if is_exporting() else _ScaleSpectrum.apply
    return scale(spectrum, weight, grid.even_rows, grid.even_cols, grid.odd_rows, grid.odd_cols)


class _ScaleSpectrum(torch.autograd.Function):
    """Keeps spectrum and small filter; A and D are resized anew in the backward."""

    generate_vmap_rule = True

    @staticmethod
    def forward(spectrum: Tensor, weight: Tensor, *constants: Tensor) -> Tensor:
        even, odd = _resize(weight, *constants)
        return _scale(spectrum, even, odd)

    setup_context = staticmethod(keep_inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        spectrum, weight, *constants = ctx.saved_tensors
        if is_differentiated():
            plain = partial(_with_constants, constants)
            return *plain_backward(plain, (spectrum, weight), grad), None, None, None, None
        even, odd = _resize(weight, *constants)
        p, q = _paired(odd)
        cc, cs, sc, ss = _quadrants(spectrum, even)
        g_cc, g_cs, g_sc, g_ss = _quadrants(grad, even)
        grad_even = g_cc * cc
        grad_even[:, :, q] += g_cs * cs
        grad_even[:, p] += g_sc * sc
        grad_even[:, p, q] += g_ss * ss
        grad_odd = g_sc[:, :, q] * cs[:, p]
        grad_odd.addcmul_(g_cs[:, p], sc[:, :, q])
        grad_odd.addcmul_(g_cc[:, p, q], ss, value=-1)
        grad_odd.addcmul_(g_ss, cc[:, p, q], value=-1)
        grad_weight = _resize_back(grad_even, grad_odd, *constants)
        return _scale(grad, even, odd), grad_weight, None, None, None, None  # self-adjoint

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        spectrum, weight, *constants = ctx.saved_tensors
        return plain_jvp(partial(_with_constants, constants), (spectrum, weight), tangents[:2])


def _with_constants(constants: Sequence[Tensor], spectrum: Tensor, weight: Tensor) -> Tensor:
    return _plain(spectrum, weight, *constants)


def _resize(
    weight: Tensor, even_rows: Tensor, even_cols: Tensor, odd_rows: Tensor, odd_cols: Tensor
) -> tuple[Tensor, Tensor]:
    """A (B, K_h, K_w, C) and D (B, H - K_h, W - K_w, C)."""
    stored = weight.flatten(2)  # (B, S, T * C)
    even, odd = ((rows @ stored).unflatten(2, weight.shape[2:]) for rows in (even_rows, odd_rows))
    return even_cols @ even, odd_cols @ odd


def _resize_back(
    even: Tensor,
    odd: Tensor,
    even_rows: Tensor,
    even_cols: Tensor,
    odd_rows: Tensor,
    odd_cols: Tensor,
) -> Tensor:
    """The transpose of :func:`_resize`."""
    even, odd = even_cols.t() @ even, odd_cols.t() @ odd  # (B, K_h or H - K_h, T, C)
    stored = even_rows.t() @ even.flatten(2) + odd_rows.t() @ odd.flatten(2)
    return stored.unflatten(2, even.shape[2:])


def _scale(spectrum: Tensor, even: Tensor, odd: Tensor) -> Tensor:
    p, q = _paired(odd)
    cc, cs, sc, ss = _quadrants(spectrum, even)
    out_cc, out_cs = cc * even, cs * even[:, :, q]
    out_sc, out_ss = sc * even[:, p], ss * even[:, p, q]
    out_cc[:, p, q].addcmul_(odd, ss, value=-1)
    out_cs[:, p].addcmul_(odd, sc[:, :, q])
    out_sc[:, :, q].addcmul_(odd, cs[:, p])
    out_ss.addcmul_(odd, cc[:, p, q], value=-1)
    return torch.cat([torch.cat([out_cc, out_cs], 2), torch.cat([out_sc, out_ss], 2)], 1)


def _plain(spectrum: Tensor, weight: Tensor, *constants: Tensor) -> Tensor:
    """The same without writing in place, which some exporters lose."""
    even, odd = _resize(weight, *constants)
    p, q = _paired(odd)
    cc, cs, sc, ss = _quadrants(spectrum, even)
    out_cc, out_cs = cc * even, cs * even[:, :, q]
    out_sc, out_ss = sc * even[:, p], ss * even[:, p, q]
    if 0 not in odd.shape[1:3]:  # a side of 1 or 2 has no paired frequency
        along_h = (0, 0, 0, 0, 1, even.shape[1] - 1 - odd.shape[1])  # the paired among the cosines
        along_w = (0, 0, 1, even.shape[2] - 1 - odd.shape[2])
        out_cc = out_cc - F.pad(odd * ss, (*along_w, *along_h[4:]))
        out_cs = out_cs + F.pad(odd * sc[:, :, q], along_h)
        out_sc = out_sc + F.pad(odd * cs[:, p], along_w)
        out_ss = out_ss - odd * cc[:, p, q]
    return torch.cat([torch.cat([out_cc, out_cs], 2), torch.cat([out_sc, out_ss], 2)], 1)


def _quadrants(t: Tensor, even: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    k_h, k_w = even.shape[1:3]
    return t[:, :k_h, :k_w], t[:, :k_h, k_w:], t[:, k_h:, :k_w], t[:, k_h:, k_w:]


def _paired(odd: Tensor) -> tuple[slice, slice]:
    """Rows and columns of the cosine block whose frequency also has a sine."""
    return slice(1, 1 + odd.shape[1]), slice(1, 1 + odd.shape[2])
