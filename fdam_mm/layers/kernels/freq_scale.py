"""FreqScale on chip, with LayerScale and the residual: its operation, gradients and plain form.

Legend of the shape comments: B batch, P prefix tokens, N = H * W, C channels, G groups, f filters.
"""

from typing import Any

import torch
import triton
from torch import Tensor

from ..autocast import float32_island
from ..fused import is_differentiated, plain_backward
from .freq_scale_kernels import scale, scale_backward
from .freq_scale_tiles import constants, launch_options
from .launch import on_device_of


class ScaleOnChip(torch.autograd.Function):
    """:func:`scale_maps`; ``apply`` takes its arguments, by position."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        routing: Tensor,
        bases: Tensor,
        gamma: Tensor | None,
        shortcut: Tensor | None,
        hw: tuple[int, int],
        dtype: torch.dtype,
    ) -> Tensor:
        ctx.save_for_backward(x, routing, bases, gamma)
        ctx.hw, ctx.added = hw, None if shortcut is None else shortcut.dtype
        return scale_maps(x, routing, bases, gamma, shortcut, hw, dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        hw = ctx.hw
        x, routing, bases, gamma = ctx.saved_tensors
        with float32_island(grad):
            if is_differentiated():

                def plain(
                    x: Tensor, routing: Tensor, bases: Tensor, gamma: Tensor | None
                ) -> Tensor:
                    return plain_scale(x, routing, bases, gamma, None, hw, grad.dtype)

                grads = plain_backward(plain, (x, routing, bases, gamma), grad)
            else:
                grads = scale_maps_backward(grad, x, routing, bases, gamma, hw)
        return *grads, None if ctx.added is None else grad.to(ctx.added), None, None


def scale_maps(
    x: Tensor,
    routing: Tensor,
    bases: Tensor,
    gamma: Tensor | None,
    shortcut: Tensor | None,
    hw: tuple[int, int],
    dtype: torch.dtype,
) -> Tensor:
    """:func:`plain_scale` on a GPU."""
    out = torch.empty(x.shape, dtype=dtype, device=x.device)
    _copy_prefix(out, x, gamma, shortcut, hw)
    maps, out_maps = _maps(x, hw), _maps(out, hw)
    added = maps if shortcut is None else _maps(shortcut, hw)
    options, grid = _launch("scale", maps, bases)
    with on_device_of(x):
        scale[grid](
            maps, out_maps, added, bases if gamma is None else gamma.contiguous(),
            routing.contiguous(), bases.contiguous(),
            *constants(*hw, bases.shape[2], x.device), *hw, maps.shape[3], bases.shape[1],
            *maps.stride(), *added.stride(), *out_maps.stride(),
            SHORTCUT=shortcut is not None, GAMMA=gamma is not None, **options,
        )  # fmt: skip
    return out


def _maps(x: Tensor, hw: tuple[int, int]) -> Tensor:
    """(B, P + N, C), or (B, H, W, C) -> the grid, (B, H, W, C)."""
    return x if x.ndim == 4 else x[:, x.shape[1] - hw[0] * hw[1] :].unflatten(1, hw)


def _prefix(x: Tensor, hw: tuple[int, int]) -> Tensor:
    """(B, P, C), the tokens before the grid."""
    return x[:, :0].flatten(1, 2) if x.ndim == 4 else x[:, : x.shape[1] - hw[0] * hw[1]]


def _copy_prefix(
    out: Tensor, x: Tensor, gamma: Tensor | None, shortcut: Tensor | None, hw: tuple[int, int]
) -> None:
    prefix = _prefix(x, hw)
    if prefix.shape[1] == 0:
        return
    prefix = prefix if gamma is None else gamma * prefix
    _prefix(out, hw).copy_(prefix if shortcut is None else prefix + _prefix(shortcut, hw))


def _launch(kernel: str, maps: Tensor, bases: Tensor) -> tuple[dict[str, Any], tuple[int, int]]:
    """Options and grid of a kernel on maps (B, H, W, C)."""
    batch, height, width, channels = maps.shape
    exact = maps.dtype == torch.float32
    options = launch_options(kernel, height, width, tuple(bases.shape), exact)
    return options, (batch, triton.cdiv(channels, options["CHANNELS"]))


def scale_maps_backward(
    grad: Tensor,
    x: Tensor,
    routing: Tensor,
    bases: Tensor,
    gamma: Tensor | None,
    hw: tuple[int, int],
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Gradients of x, routing, bases and gamma of :func:`plain_scale`."""
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    maps, grads, out = (_maps(t, hw) for t in (x, grad, grad_x))
    batch, channels = maps.shape[0], maps.shape[3]
    stored = torch.empty(batch, channels, *bases.shape[2:], device=x.device)
    grad_gamma = None if gamma is None else torch.empty(batch, channels, device=x.device)
    options, grid = _launch("scale_backward", maps, bases)
    with on_device_of(x):
        scale_backward[grid](
            grads, maps, bases if gamma is None else gamma.contiguous(),
            routing.contiguous(), bases.contiguous(),
            out, stored if grad_gamma is None else grad_gamma, stored,
            *constants(*hw, bases.shape[2], x.device), *hw, channels, bases.shape[1],
            *grads.stride(), *maps.stride(), *out.stride(),
            GAMMA=gamma is not None, **options,
        )  # fmt: skip
    of_prefix = _prefix(grad, hw)
    if of_prefix.shape[1]:
        _prefix(grad_x, hw).copy_(of_prefix if gamma is None else gamma * of_prefix)
    if grad_gamma is not None:
        grad_gamma = grad_gamma.sum(0) + (of_prefix.float() * _prefix(x, hw)).sum((0, 1))
    return grad_x, *_filter_grads(stored, routing, bases), grad_gamma


def _filter_grads(stored: Tensor, routing: Tensor, bases: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of ``routing`` and ``bases`` from that of their product, (B, C, S, T)."""
    stored = stored.view(-1, bases[0].numel())  # (B * G, c * S * T)
    weights, flat = routing.flatten(0, 1), bases.flatten(1)  # (B * G, f), (f, c * S * T)
    return (stored @ flat.t()).view_as(routing), (weights.t() @ stored).view_as(bases)


def plain_scale(
    x: Tensor,
    routing: Tensor,
    bases: Tensor,
    gamma: Tensor | None,
    shortcut: Tensor | None,
    hw: tuple[int, int],
    dtype: torch.dtype,
) -> Tensor:
    """FreqScale after its routing MLP, with LayerScale and the residual, without a kernel.

    Args:
        x: (B, P + N, C), the grid's N = H * W tokens last; or (B, H, W, C).
        routing: (B, G, f) in float32, the weights of the bases.
        bases: (f, c, S, S // 2 + 1) in float32, channels c = C / G of a group.
        gamma: (C,) in float32, what the result is multiplied by.
        shortcut: Added to it, in the shape of ``x``.
        hw: The grid (H, W).
        dtype: Of the result.

    Returns:
        ``shortcut + gamma * (x + filtered x)``; prefix tokens are not filtered.
    """
    c = constants(*hw, bases.shape[2], x.device)
    maps = _maps(x, hw).float()
    mixed = torch.einsum("bgf,fcst->bgcst", routing, bases).flatten(1, 2)  # (B, C, S, T)
    # Quadrants (i along H, j along W), and their opposites.
    rows, cols = c.rows[:, :, : hw[0]], c.cols[:, :, : hw[1]]
    even, odd = c.even[:, :, : bases.shape[2]], c.odd[0, :, : bases.shape[2]]
    across = c.across[:, :, : bases.shape[3]]
    spectrum = torch.einsum("ikh,jlw,bhwc->bijklc", rows, cols, maps)
    a = torch.einsum("iks,jlt,bcst->bijklc", even, across, mixed)
    paired = torch.arange(across.shape[1], device=x.device).view(1, -1, 1) > 0  # (1, l, 1)
    d = torch.einsum("ks,lt,bcst->bklc", odd, across[0], mixed) * paired
    sign = torch.tensor([[-1.0, 1.0], [1.0, -1.0]], device=x.device).view(1, 2, 2, 1, 1, 1)
    scaled = a * spectrum + sign * d[:, None, None] * spectrum.flip((1, 2))
    filtered = torch.einsum("ikh,jlw,bijklc->bhwc", rows, cols, scaled)
    out = maps + filtered
    if x.ndim == 3:
        out = torch.cat([_prefix(x, hw).float(), out.flatten(1, 2)], 1)
    out = out if gamma is None else gamma * out
    return (out if shortcut is None else shortcut + out).to(dtype)
