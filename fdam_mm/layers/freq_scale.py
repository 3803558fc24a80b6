"""Frequency Dynamic Scaling (FreqScale): re-weight the spectrum of what a sub-layer adds.

Legend of the shape comments: B batch, H x W grid, N = H * W tokens, C channels, G groups,
c = C / G channels of a group, f filters.
"""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .autocast import at_least_float32, float32_island
from .children import call
from .fourier import FourierGrid, fourier_grid
from .fused import is_differentiated, is_exporting, keep_inputs, plain_backward, plain_jvp
from .kernels import LARGEST_SIDE, can_use_kernels, scale_maps
from .star_relu import StarReLU


class FreqScale(nn.Module):
    """Adds to a map its own spectrum times an input-dependent filter (arXiv 2507.12006, sec. 3.3).

    ``num_filters`` real bases on the half spectrum are shared by all groups of channels; a routing
    MLP on the map's mean mixes them per image and group::

        r = tanh(fc2(StarReLU(fc1(mean_{H,W}(x)))))     (B, G, f)
        w = Σ_f r_f * resize(bases_f)                   (B, C, H, W // 2 + 1), channels group-major
        out = x + irfft2(rfft2(x) * w)                  norm="ortho"

    The bases are resized bicubically (``align_corners=True``) on the unshifted half spectrum to
    the grid at hand, so any grid is served. All of it is computed in float32 also under autocast;
    the result has the dtype of ``x``.

    Args:
        dim: Channels C.
        groups: Groups G; C must be a multiple of it.
        num_filters: Bases mixed by the routing MLP.
        filter_size: Side S of the stored bases, (f, c, S, S // 2 + 1).
        mlp_ratio: Hidden channels of the routing MLP over C.

    Raises:
        ValueError: ``dim`` is not a multiple of ``groups``, there is no filter, or the MLP would
            have no channel.
    """

    def __init__(
        self,
        dim: int,
        groups: int = 16,
        num_filters: int = 4,
        filter_size: int = 14,
        mlp_ratio: float = 1 / 16,
    ) -> None:
        super().__init__()
        if groups < 1 or dim % groups:
            raise ValueError(
                f"dim {dim} is not a multiple of groups {groups}; choose other groups"
            )
        if num_filters < 1 or filter_size < 1:
            raise ValueError(
                f"num_filters {num_filters} and filter_size {filter_size} must be at least 1"
            )
        hidden = int(dim * mlp_ratio)
        if hidden < 1:
            raise ValueError(f"mlp_ratio {mlp_ratio} leaves no hidden channel at dim {dim}")
        self.groups, self.num_filters, self.filter_size = groups, num_filters, filter_size
        shape = (num_filters, dim // groups, filter_size, filter_size // 2 + 1)
        self.bases = nn.Parameter(torch.empty(shape))
        self.reweight = nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(dim, hidden, bias=False),
                act=StarReLU(),
                fc2=nn.Linear(hidden, groups * num_filters, bias=False),
            )
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Bases near zero, so that the layer starts near the identity; the MLP as torch starts
        linears, as in the official release."""
        nn.init.trunc_normal_(self.bases, std=1e-5)
        for child in self.reweight:
            if isinstance(child, nn.Linear):
                child.reset_parameters()

    def forward(
        self, x: Tensor, hw: tuple[int, int] | None = None, num_prefix_tokens: int = 0
    ) -> Tensor:
        """Return ``x + FreqScale(x)``.

        Args:
            x: (B, C, H, W), or tokens (B, num_prefix_tokens + N, C) with ``hw``.
            hw: The grid (H, W) of tokens, N = H * W.
            num_prefix_tokens: Tokens before the grid's (class, registers), which pass unchanged.

        Raises:
            ValueError: The shape of ``x`` is neither of the two, or does not fit ``hw``.
        """
        self._check(x, hw, num_prefix_tokens)
        if hw is None:
            return self._scale(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        out = self._scale(x[:, num_prefix_tokens:].unflatten(1, hw)).flatten(1, 2)
        return torch.cat([x[:, :num_prefix_tokens], out], 1) if num_prefix_tokens else out

    def _check(self, x: Tensor, hw: tuple[int, int] | None, num_prefix_tokens: int) -> None:
        dim = self.groups * self.bases.shape[1]
        if hw is None and (x.ndim != 4 or x.shape[1] != dim):
            raise ValueError(
                f"expected a map (B, {dim}, H, W), got {tuple(x.shape)}; "
                "for tokens (B, N, C) give their grid: hw=(H, W)"
            )
        if hw is None:
            return
        num_tokens = num_prefix_tokens + hw[0] * hw[1]
        if x.ndim != 3 or x.shape[1:] != (num_tokens, dim):
            raise ValueError(
                f"expected tokens (B, {num_tokens}, {dim}) for hw={tuple(hw)} and "
                f"num_prefix_tokens={num_prefix_tokens}, got {tuple(x.shape)}"
            )

    def _scale(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same, with the residual."""
        if x.shape[0] == 0:  # which FFTs refuse
            return x
        with float32_island(x):
            if max(x.shape[1:3]) <= LARGEST_SIDE and can_use_kernels(x):
                routing = self._routing(x.mean((1, 2), dtype=torch.float32))
                return scale_maps(x, routing, self.bases)
            x32 = at_least_float32(x)
            scale = self._scale_by_matrices if use_matrices(x) else self._scale_by_fft
            return scale(x32).to(x.dtype)

    def _scale_by_matrices(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        grid = self._constants(x)
        spectrum = grid.rows @ x.flatten(2)  # (B, H, W * C)
        spectrum = grid.cols @ spectrum.unflatten(2, (width, -1))  # (B, H, W, C)
        routing = self._routing(spectrum[:, 0, 0] / (height * width) ** 0.5)
        even = self._mix(routing, grid.even_rows, grid.even_cols)
        if grid.odd_rows is None or grid.odd_cols is None:
            scaled = spectrum * even
        else:
            odd = self._mix(routing, grid.odd_rows, grid.odd_cols)
            scale = _plain_scale if is_exporting() else _ScaleSpectrum.apply
            scaled = scale(spectrum, even, odd)
        scaled = (grid.cols.t() @ scaled).flatten(2)  # (B, H, W * C)
        if is_exporting():  # the legacy exporter takes the batch of an expansion for a constant
            return (x.flatten(2) + grid.rows.t() @ scaled).view_as(x)
        back = grid.rows.t().expand(x.shape[0], -1, -1)
        return torch.baddbmm(x.flatten(2), back, scaled).view_as(x)

    def _scale_by_fft(self, x: Tensor) -> Tensor:
        """The definition, word for word; also what the matrix form is tested against."""
        height, width = x.shape[1:3]
        grid = self._constants(x)
        weight = self._mix(self._routing(x.mean((1, 2))), grid.all_rows, grid.all_cols)
        # Over the last axes: faster backward, and torch.compile has the others' strides wrong.
        maps = x.permute(0, 3, 1, 2).contiguous()
        spectrum = torch.fft.rfft2(maps, norm="ortho") * weight.permute(0, 3, 1, 2)
        scaled = torch.fft.irfft2(spectrum, s=(height, width), norm="ortho")
        return x + scaled.permute(0, 2, 3, 1)

    def _constants(self, x: Tensor) -> FourierGrid:
        """Those of the grid of ``x`` (B, H, W, C)."""
        height, width = x.shape[1:3]
        grid = fourier_grid(height, width, self.filter_size, x.device, x.dtype)
        mode = None if torch.compiler.is_compiling() else getattr(x, "fake_mode", None)
        if mode is None or mode.allow_non_fake_inputs:
            return grid
        return FourierGrid._make(None if t is None else mode.from_tensor(t) for t in grid)

    def _routing(self, mean: Tensor) -> Tensor:
        """(B, C) means -> (B, G, f) weights of the bases, in (-1, 1)."""
        routing = call(self.reweight, mean)
        return torch.tanh(routing).unflatten(1, (self.groups, self.num_filters))

    def _mix(self, routing: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """Resize the bases by ``rows`` (P, S) and ``cols`` (Q, S // 2 + 1), mix: (B, P, Q, C)."""
        bases = torch.einsum("ps,fcst,qt->pqfc", rows, self.bases.to(rows.dtype), cols)
        return torch.einsum("bgf,pqfc->bpqgc", routing, bases).flatten(3)


class _ScaleSpectrum(torch.autograd.Function):
    """Weights (even, odd) on the real spectrum (B, H, W, C); keeps no intermediate for backward.

    ``even`` (B, K_h, K_w, C) and ``odd`` (B, H - K_h, W - K_w, C) are A and D of
    :class:`FourierGrid`. With the quadrants cc, cs, sc, ss (cosine or sine along H, then W)::

        cc' = A cc - D ss     ss' = A ss - D cc     sc' = A sc + D cs     cs' = A cs + D sc
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(spectrum: Tensor, even: Tensor, odd: Tensor) -> Tensor:
        return _scale_quadrants(spectrum, even, odd)

    setup_context = staticmethod(keep_inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        spectrum, even, odd = ctx.saved_tensors
        if is_differentiated():
            return plain_backward(_plain_scale, (spectrum, even, odd), grad)
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
        return _scale_quadrants(grad, even, odd), grad_even, grad_odd  # the map is self-adjoint

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        return plain_jvp(_plain_scale, ctx.saved_tensors, tangents)


def _plain_scale(spectrum: Tensor, even: Tensor, odd: Tensor) -> Tensor:
    """The same without writing in place, which some exporters lose."""
    p, q = _paired(odd)
    cc, cs, sc, ss = _quadrants(spectrum, even)
    along_h = (0, 0, 0, 0, 1, even.shape[1] - 1 - odd.shape[1])  # the paired among the cosines
    along_w = (0, 0, 1, even.shape[2] - 1 - odd.shape[2])
    out_cc = cc * even - F.pad(odd * ss, (*along_w, *along_h[4:]))
    out_cs = cs * even[:, :, q] + F.pad(odd * sc[:, :, q], along_h)
    out_sc = sc * even[:, p] + F.pad(odd * cs[:, p], along_w)
    out_ss = ss * even[:, p, q] - odd * cc[:, p, q]
    return torch.cat([torch.cat([out_cc, out_cs], 2), torch.cat([out_sc, out_ss], 2)], 1)


def _scale_quadrants(spectrum: Tensor, even: Tensor, odd: Tensor) -> Tensor:
    p, q = _paired(odd)
    cc, cs, sc, ss = _quadrants(spectrum, even)
    out_cc, out_cs = cc * even, cs * even[:, :, q]
    out_sc, out_ss = sc * even[:, p], ss * even[:, p, q]
    out_cc[:, p, q].addcmul_(odd, ss, value=-1)
    out_cs[:, p].addcmul_(odd, sc[:, :, q])
    out_sc[:, :, q].addcmul_(odd, cs[:, p])
    out_ss.addcmul_(odd, cc[:, p, q], value=-1)
    return torch.cat([torch.cat([out_cc, out_cs], 2), torch.cat([out_sc, out_ss], 2)], 1)


def _quadrants(t: Tensor, even: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    k_h, k_w = even.shape[1:3]
    return t[:, :k_h, :k_w], t[:, :k_h, k_w:], t[:, k_h:, :k_w], t[:, k_h:, k_w:]


def _paired(odd: Tensor) -> tuple[slice, slice]:
    """Rows and columns of the cosine block whose frequency also has a sine."""
    return slice(1, 1 + odd.shape[1]), slice(1, 1 + odd.shape[2])


def use_matrices(x: Tensor) -> bool:
    """Whether Fourier matrices beat the FFT on a map (B, H, W, C); see benchmarks/layers.py.

    Exports have the matrices on every map: few runtimes have an FFT.
    """
    height, width, channels = x.shape[1:]
    return is_exporting() or height + width <= channels
