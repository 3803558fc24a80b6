"""A linear recurrence over many steps in plain PyTorch, chunked and parallel.

Legend of the shape comments: ``...`` any leading dimensions, L steps in n chunks of T, C channels.
"""

from math import isqrt
from typing import Any

import torch
from torch import Tensor

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
    state = carries(product, total, reverse)  # (..., n, C)
    states = []
    for a, b in zip(decays, drives, strict=True):
        state = torch.addcmul(b, a, state)
        states.append(state)
    out = _stacked(states, -2, reverse).flatten(-3, -2)  # (..., n * T, C)
    return out.narrow(-2, rest if reverse else 0, length) if rest else out


def carries(product: Tensor, total: Tensor, reverse: bool) -> Tensor:
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
