"""The selective scan of Mamba (arXiv 2312.00752) in plain PyTorch, chunked and parallel.

Legend of the shape comments: ``...`` any leading dimensions, L steps in n chunks of T, C channels,
D channels of the sequence, N states of each.
"""

from math import isqrt
from typing import Any

import torch
from torch import Tensor

from .autocast import at_least_float32, float32_island
from .fused import is_exporting


class _LinearRecurrence(torch.autograd.Function):
    """:func:`_scan` that keeps ``decay`` and its result; its gradient is a scan the other way."""

    generate_vmap_rule = True

    @staticmethod
    def forward(decay: Tensor, drive: Tensor, reverse: bool) -> Tensor:
        return _scan(decay, drive, reverse)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, bool], output: Tensor) -> None:
        decay, _, ctx.reverse = inputs
        ctx.save_for_backward(decay, output)
        ctx.save_for_forward(decay, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        decay, states = ctx.saved_tensors
        grad_drive = linear_recurrence(_delayed(decay, not ctx.reverse), grad, not ctx.reverse)
        return grad_drive * _delayed(states, ctx.reverse), grad_drive, None

    @staticmethod
    def jvp(ctx: Any, decay_t: Tensor | None, drive_t: Tensor | None, _: None) -> Tensor:
        decay, states = ctx.saved_tensors
        parts = [decay_t * _delayed(states, ctx.reverse)] if decay_t is not None else []
        parts += [drive_t] if drive_t is not None else []
        drive: Any = sum(parts)
        return _scan(decay, drive, ctx.reverse)


def linear_recurrence(decay: Tensor, drive: Tensor, reverse: bool = False) -> Tensor:
    """``h_t = decay_t * h_{t-1} + drive_t`` with ``h_{-1} = 0``; backwards in time if ``reverse``.

    About 4 sqrt(L) steps in place of L. Products of decays are formed within a chunk alone and
    never divided by, so decays in [0, 1] cannot overflow and vanish gracefully.

    Args:
        decay: (..., L, C).
        drive: The same shape.
        reverse: ``h_t = decay_t * h_{t+1} + drive_t``, from the last step to the first.

    Returns:
        All ``h``, (..., L, C).
    """
    if is_exporting():
        return _scan(decay, drive, reverse)
    return _LinearRecurrence.apply(decay, drive, reverse)


def selective_scan(
    u: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor, reverse: bool = False
) -> Tensor:
    """A state space model whose step and projections depend on the input, without its skip.

    ::

        h_t = exp(step_t a) h_{t-1} + step_t b_t u_t        N states for each of D channels
        y_t = c_t . h_t

    In float32 also under autocast, as in the official code.

    Args:
        u: The sequence, (..., L, D).
        step: Positive step sizes, (..., L, D).
        a: Negative rates, (..., D, N); its leading dimensions broadcast against those of ``u``.
        b: How the input enters the states, (..., L, N).
        c: How they are read, (..., L, N).
        reverse: From the last step to the first.

    Returns:
        (..., L, D) in at least float32.
    """
    with float32_island(u):
        u, step, a, b, c = map(at_least_float32, (u, step, a, b, c))
        decay = torch.exp(step.unsqueeze(-1) * a.unsqueeze(-3))  # (..., L, D, N)
        drive = (step * u).unsqueeze(-1) * b.unsqueeze(-2)
        states = linear_recurrence(decay.flatten(-2), drive.flatten(-2), reverse)
        return (states.view_as(drive) * c.unsqueeze(-2)).sum(-1)


def _scan(decay: Tensor, drive: Tensor, reverse: bool) -> Tensor:
    """Chunks of about sqrt(L): their totals in parallel, the carry from chunk to chunk, and all
    states in parallel from the carries."""
    length = int(decay.shape[-2])  # tracing has a tensor here
    if length == 0:
        return drive
    chunk = max(isqrt(length - 1) + 1, 1)  # ceil(sqrt(L))
    rest = -length % chunk
    if rest:  # after the last step, where what they compute reaches nobody
        pad = (0, 0, rest, 0) if reverse else (0, 0, 0, rest)
        decay, drive = (torch.nn.functional.pad(t, pad) for t in (decay, drive))
    decays = _ordered(decay.unflatten(-2, (-1, chunk)), -2, reverse)  # T of (..., n, C)
    drives = _ordered(drive.unflatten(-2, (-1, chunk)), -2, reverse)
    total, product = drives[0], decays[0]
    for a, b in zip(decays[1:], drives[1:], strict=True):
        total, product = torch.addcmul(b, a, total), product * a
    state = _carries(product, total, reverse)  # (..., n, C)
    states = []
    for a, b in zip(decays, drives, strict=True):
        state = torch.addcmul(b, a, state)
        states.append(state)
    out = _stacked(states, -2, reverse).flatten(-3, -2)  # (..., n * T, C)
    return out.narrow(-2, rest if reverse else 0, length) if rest else out


def _carries(product: Tensor, total: Tensor, reverse: bool) -> Tensor:
    """The state with which each chunk starts, (..., n, C): a scan step by step over the chunks."""
    products, totals = (_ordered(t, -2, reverse) for t in (product, total))  # n of (..., C)
    state = torch.zeros_like(totals[0])
    states = [state]
    for a, b in zip(products[:-1], totals[:-1], strict=True):
        state = torch.addcmul(b, a, state)
        states.append(state)
    return _stacked(states, -2, reverse)


def _ordered(x: Tensor, dim: int, reverse: bool) -> tuple[Tensor, ...]:
    parts = x.unbind(dim)
    return parts[::-1] if reverse else parts


def _stacked(parts: list[Tensor], dim: int, reverse: bool) -> Tensor:
    return torch.stack(parts[::-1] if reverse else parts, dim)


def _delayed(x: Tensor, reverse: bool) -> Tensor:
    """The value one step before, zero at the first: (..., L, C) -> the same."""
    if reverse:
        return torch.nn.functional.pad(x[..., 1:, :], (0, 0, 0, 1))
    return torch.nn.functional.pad(x[..., :-1, :], (0, 0, 1, 0))
