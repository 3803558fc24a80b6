"""Weights on a real spectrum, given by a small filter that is resized to it.

Legend of the shape comments: B batch, H x W grid, C channels, S x T stored filter, K_h and K_w
numbers of cosines, P_h and P_w of paired frequencies.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from .fourier import FourierGrid


def resize(stored: Tensor, grid: FourierGrid) -> tuple[Tensor, Tensor]:
    """Filters (B, C, S, T) -> A (B, K_h, K_w, C) and D (B, P_h, P_w, C) of ``grid``.

    See :class:`~fdam_mm.layers.fourier.FourierGrid`.
    """
    along_w = grid.even_cols @ stored.permute(0, 2, 3, 1)  # (B, S, K_w, C)
    paired = along_w[:, :, 1 : 1 + grid.odd_cols.shape[0]]
    even, odd = grid.even_rows @ along_w.flatten(2), grid.odd_rows @ paired.flatten(2)
    return even.unflatten(2, along_w.shape[2:]), odd.unflatten(2, paired.shape[2:])


def resize_back(even: Tensor, odd: Tensor, grid: FourierGrid) -> Tensor:
    """The transpose of :func:`resize`."""
    along_w = grid.even_rows.t() @ even.flatten(2)  # (B, S, K_w * C)
    along_w = along_w.unflatten(2, even.shape[2:])
    paired = along_w[:, :, 1 : 1 + odd.shape[2]]
    paired += (grid.odd_rows.t() @ odd.flatten(2)).unflatten(2, odd.shape[2:])
    return (grid.even_cols.t() @ along_w).permute(0, 3, 1, 2)


def scale(spectrum: Tensor, even: Tensor, odd: Tensor, out: Tensor) -> Tensor:
    """Apply A and D to a spectrum by the Fourier matrices of both sides.

    With the quadrants cc, cs, sc, ss (cosine or sine along H, then W)::

        cc' = A cc - D ss     ss' = A ss - D cc     sc' = A sc + D cs     cs' = A cs + D sc

    Args:
        spectrum: (B, H, W, C).
        even: A, (B, K_h, K_w, C).
        odd: D, (B, P_h, P_w, C).
        out: Where the result is written.
    """
    p, q = _paired(odd)
    cc, cs, sc, ss = quadrants(spectrum, even)
    out_cc, out_cs, out_sc, out_ss = quadrants(out, even)
    torch.mul(cc, even, out=out_cc)
    torch.mul(cs, even[:, :, q], out=out_cs)
    torch.mul(sc, even[:, p], out=out_sc)
    torch.mul(ss, even[:, p, q], out=out_ss)
    out_cc[:, p, q].addcmul_(odd, ss, value=-1)
    out_cs[:, p].addcmul_(odd, sc[:, :, q])
    out_sc[:, :, q].addcmul_(odd, cs[:, p])
    out_ss.addcmul_(odd, cc[:, p, q], value=-1)
    return out


def plain_scale(spectrum: Tensor, even: Tensor, odd: Tensor) -> Tensor:
    """:func:`scale` without writing in place, which some exporters lose."""
    p, q = _paired(odd)
    cc, cs, sc, ss = quadrants(spectrum, even)
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


def weight_grads(grad: Tensor, spectrum: Tensor, even: Tensor, odd: Tensor) -> tuple[Tensor, ...]:
    """Gradients of A and D, shaped as ``even`` and ``odd``, from those of the scaled spectrum."""
    p, q = _paired(odd)
    cc, cs, sc, ss = quadrants(spectrum, even)
    g_cc, g_cs, g_sc, g_ss = quadrants(grad, even)
    grad_even = g_cc * cc
    grad_even[:, :, q].addcmul_(g_cs, cs)
    grad_even[:, p].addcmul_(g_sc, sc)
    grad_even[:, p, q].addcmul_(g_ss, ss)
    grad_odd = g_sc[:, :, q] * cs[:, p]
    grad_odd.addcmul_(g_cs[:, p], sc[:, :, q])
    grad_odd.addcmul_(g_cc[:, p, q], ss, value=-1)
    grad_odd.addcmul_(g_ss, cc[:, p, q], value=-1)
    return grad_even, grad_odd


def quadrants(t: Tensor, even: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """cc, cs, sc and ss of a spectrum (B, H, W, C)."""
    k_h, k_w = even.shape[1:3]
    return t[:, :k_h, :k_w], t[:, :k_h, k_w:], t[:, k_h:, :k_w], t[:, k_h:, k_w:]


def _paired(odd: Tensor) -> tuple[slice, slice]:
    """Rows and columns of the cosine block whose frequency also has a sine."""
    return slice(1, 1 + odd.shape[1]), slice(1, 1 + odd.shape[2])
