"""Frequency Dynamic Scaling (FreqScale): re-weight the spectrum of what a sub-layer adds.

Legend of the shape comments: B batch, H x W grid, N = H * W tokens, C channels, G groups,
c = C / G channels of a group, f filters.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from . import by_fft, by_matrices
from .autocast import at_least_float32, float32_island
from .children import call, is_plain
from .forms import use_matrices
from .fourier import FourierGrid, fourier_grid
from .kernels import LARGEST_SIDE, can_use_kernels, route, scale
from .residual import residual
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
        return self._add(x, hw, num_prefix_tokens)

    def add_to(
        self,
        shortcut: Tensor,
        x: Tensor,
        hw: tuple[int, int] | None = None,
        num_prefix_tokens: int = 0,
        gamma: Tensor | None = None,
    ) -> Tensor:
        """``shortcut + gamma * self(x)``: a residual branch with LayerScale, in fewer passes.

        Args:
            shortcut: In the shape of ``x``.
            x: As of :meth:`forward`, as are ``hw`` and ``num_prefix_tokens``.
            gamma: (C,), or None for 1.
        """
        hooks = (self._forward_hooks, self._forward_pre_hooks, self._backward_hooks)
        is_own = type(self).forward is FreqScale.forward and "forward" not in self.__dict__
        if any(hooks) or not is_own:
            x = self(x, hw, num_prefix_tokens)
            of_channels = gamma if hw is not None or gamma is None else gamma[:, None, None]
            return residual(x, of_channels, shortcut)
        self._check(x, hw, num_prefix_tokens)
        return self._add(x, hw, num_prefix_tokens, gamma, shortcut)

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

    def _add(
        self,
        x: Tensor,
        hw: tuple[int, int] | None,
        num_prefix_tokens: int,
        gamma: Tensor | None = None,
        shortcut: Tensor | None = None,
    ) -> Tensor:
        """:meth:`add_to` after its checks."""
        if self._fits_on_chip(x, hw):
            return self._on_chip(x, hw, gamma, shortcut)
        added = None if shortcut is None else _maps(shortcut, hw, num_prefix_tokens)
        out = self._add_maps(_maps(x, hw, num_prefix_tokens), added, gamma)
        if hw is None:
            return out.permute(0, 3, 1, 2)
        out = out.flatten(1, 2)
        if not num_prefix_tokens:
            return out
        first = slice(num_prefix_tokens)
        prefix = residual(x[:, first], gamma, None if shortcut is None else shortcut[:, first])
        return torch.cat([prefix, out], 1)

    def _add_maps(self, x: Tensor, shortcut: Tensor | None, gamma: Tensor | None) -> Tensor:
        """:meth:`add_to` on (B, H, W, C)."""
        dtype = x.dtype
        for other in (gamma, shortcut):
            dtype = dtype if other is None else torch.promote_types(dtype, other.dtype)
        # FFTs refuse a batch of nothing
        by = self.by_matrices if x.shape[0] == 0 or use_matrices(x) else self.by_fft
        with float32_island(x):
            x = at_least_float32(x)
            added = (None if t is None else t.to(x.dtype) for t in (gamma, shortcut))
            return by(x, *added).to(dtype)

    def _fits_on_chip(self, x: Tensor, hw: tuple[int, int] | None) -> bool:
        sides = x.shape[-2:] if hw is None else hw
        return can_use_kernels(x) and max(sides) <= LARGEST_SIDE and x.numel() > 0

    def _on_chip(
        self,
        x: Tensor,
        hw: tuple[int, int] | None,
        gamma: Tensor | None = None,
        shortcut: Tensor | None = None,
    ) -> Tensor:
        """By the kernels; the arguments are those of :meth:`add_to`."""
        if hw is None:
            maps = x.permute(0, 2, 3, 1)
            added = None if shortcut is None else shortcut.permute(0, 2, 3, 1)
            mean = maps.mean((1, 2), dtype=torch.float32)
            with float32_island(x):
                sides = (maps.shape[1], maps.shape[2])
                out = scale(maps, self._routing(mean), self.bases, gamma, added, sides)
            return out.permute(0, 3, 1, 2)
        mean = x[:, x.shape[1] - hw[0] * hw[1] :].mean(1, dtype=torch.float32)
        with float32_island(x):
            return scale(x, self._routing(mean), self.bases, gamma, shortcut, hw)

    def by_matrices(
        self, x: Tensor, gamma: Tensor | None = None, shortcut: Tensor | None = None
    ) -> Tensor:
        """:meth:`add_to` by Fourier matrices, on (B, H, W, C) in at least float32."""
        grid = self._constants(x)
        spectrum, mean = by_matrices.to_spectrum(x, grid)
        return by_matrices.add_filtered(x, spectrum, self._stored(mean), gamma, shortcut, grid)

    def by_fft(
        self, x: Tensor, gamma: Tensor | None = None, shortcut: Tensor | None = None
    ) -> Tensor:
        """:meth:`add_to` by the FFT, as it is defined; on (B, H, W, C) in at least float32."""
        stored = self._stored(_mean(x))
        return by_fft.add_filtered(x, stored, gamma, shortcut, self._constants(x))

    def weight(self, x: Tensor) -> Tensor:
        """w, what the spectrum of ``x`` (B, H, W, C) is multiplied by: (B, C, H, W // 2 + 1).

        ``x`` in at least float32.
        """
        return by_fft.resize(self._stored(_mean(x)), self._constants(x))

    def _constants(self, x: Tensor) -> FourierGrid:
        """Those of the grid of ``x`` (B, H, W, C)."""
        height, width = x.shape[1:3]
        grid = fourier_grid(height, width, self.filter_size, x.device, x.dtype)
        mode = None if torch.compiler.is_compiling() else getattr(x, "fake_mode", None)
        if mode is None or mode.allow_non_fake_inputs:
            return grid
        return FourierGrid._make(map(mode.from_tensor, grid))

    def _routing(self, mean: Tensor) -> Tensor:
        """(B, C) means of the map -> (B, G, f) weights of the bases, in (-1, 1)."""
        sizes = (self.groups, self.num_filters)
        fc1, act, fc2 = self.reweight
        linears = is_plain(fc1, has_bias=False) and is_plain(fc2, has_bias=False)
        compiles = torch.compiler.is_compiling()  # which makes few launches of these lines
        if not compiles and can_use_kernels(mean) and linears and type(act) is StarReLU:
            parameters = (*fc1.parameters(), *act.parameters(), *fc2.parameters())
            return route(mean, *parameters).unflatten(1, sizes)
        return torch.tanh(call(self.reweight, mean)).unflatten(1, sizes)

    def _stored(self, mean: Tensor) -> Tensor:
        """(B, C) means of the map -> the mixed bases, (B, C, S, S // 2 + 1)."""
        bases = self.bases.to(mean.dtype).flatten(1)  # (f, c * S * T)
        return (self._routing(mean) @ bases).view(-1, mean.shape[1], *self.bases.shape[2:])


def _maps(x: Tensor, hw: tuple[int, int] | None, num_prefix_tokens: int) -> Tensor:
    """(B, C, H, W), or tokens with the grid's last -> (B, H, W, C), a view."""
    if hw is None:
        return x.permute(0, 2, 3, 1)
    return x[:, num_prefix_tokens:].unflatten(1, hw)


def _mean(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, C). A sum's gradient is an expansion, which a mean's writes out."""
    return x.sum((1, 2)) / (x.shape[1] * x.shape[2])
