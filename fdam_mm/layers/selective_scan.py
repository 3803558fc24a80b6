"""The selective scan of Mamba (arXiv 2312.00752) in plain PyTorch, chunked and parallel.

Legend of the shape comments: ``...`` any leading dimensions, L steps in n chunks of T, D channels
of the sequence, N states of each.
"""

from functools import partial
from math import isqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .autocast import at_least_float32, float32_island
from .fused import is_differentiated, needs_plain, plain_backward
from .linear_recurrence import carries, linear_recurrence


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
        inputs = _common(*map(at_least_float32, (u, step, a, b, c)))
        # With one state there is little to hold in a cache; on a GPU there would be more launches.
        if u.device.type != "cpu" or a.shape[-1] == 1 or u.numel() == 0 or needs_plain():
            return _plain_scan(*inputs, reverse=reverse)
        return _SelectiveScan.apply(*inputs, reverse)


def _common(
    u: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The inputs with the same leading dimensions, ``a`` with as many."""
    a = a.reshape((1,) * (u.ndim - a.ndim) + a.shape)
    leading = torch.broadcast_shapes(*(t.shape[:-2] for t in (u, step, a, b, c)))
    u, step, b, c = (t.expand(*leading, *t.shape[-2:]) for t in (u, step, b, c))
    return u, step, a, b, c


def _plain_scan(u: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor, reverse: bool) -> Tensor:
    """:func:`selective_scan` in tensors of all steps and states."""
    decay = torch.exp(step.unsqueeze(-1) * a.unsqueeze(-3))  # (..., L, D, N)
    drive = (step * u).unsqueeze(-1) * b.unsqueeze(-2)
    states = linear_recurrence(decay.flatten(-2), drive.flatten(-2), reverse)
    return (states.view_as(drive) * c.unsqueeze(-2)).sum(-1)


class _SelectiveScan(torch.autograd.Function):
    """:func:`_plain_scan` with one step of all chunks at a time, which a processor's cache holds.

    Kept for the backward are, beside the inputs, the states in which chunks start,
    (..., n, N, D), and all decays, (T, ..., n, N, D).
    """

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor, reverse: bool
    ) -> Tensor:
        chunks = _Chunks(u, step, a, b, c, reverse)
        total = torch.zeros_like(chunks.decays[0])
        for t in chunks.order:
            chunks.advance(t, total, out=total)
        starts = chunks.carries(total, reverse)
        state, read = starts.clone(), torch.empty_like(starts)
        out = torch.empty_like(chunks.step)  # (T, ..., n, 1, D)
        for t in chunks.order:
            chunks.advance(t, state, out=state)
            torch.sum(torch.mul(state, chunks.c[t], out=read), -2, keepdim=True, out=out[t])
        ctx.save_for_backward(u, step, a, b, c, starts, chunks.decays)
        ctx.reverse = reverse
        return chunks.joined(out.squeeze(-2))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, starts, decays = ctx.saved_tensors
        if is_differentiated():
            plain = partial(_plain_scan, reverse=ctx.reverse)
            return (*plain_backward(plain, inputs, grad), None)
        u, step, a, b, c = inputs
        chunks = _Chunks(u, step, a, b, c, ctx.reverse, decays)
        return (*_gradients(chunks, starts, grad, ctx.reverse), None)


class _Chunks:
    """The inputs of a scan, step by step of all chunks: ``step[t]`` is step t of every chunk.

    Attributes:
        order: The steps of a chunk in the order of time.
        u, step, moved: (T, ..., n, 1, D); ``moved`` is ``step * u``.
        b, c: (T, ..., n, N, 1).
        a: (..., 1, N, D).
        decays: (T, ..., n, N, D).
    """

    def __init__(
        self,
        u: Tensor,
        step: Tensor,
        a: Tensor,
        b: Tensor,
        c: Tensor,
        reverse: bool,
        decays: Tensor | None = None,
    ) -> None:
        self.length = u.shape[-2]
        self.size = isqrt(self.length - 1) // 2 + 1  # a step costs more than a chunk
        self.order = range(self.size)[::-1] if reverse else range(self.size)
        self.u, self.step = (self.cut(t).unsqueeze(-2) for t in (u, step))
        self.b, self.c = (self.cut(t).unsqueeze(-1) for t in (b, c))
        self.moved = self.step * self.u
        self.a = a.transpose(-1, -2).contiguous().unsqueeze(-3)
        self.decays = self._decays() if decays is None else decays

    def _decays(self) -> Tensor:
        decays = self.a.new_empty(*self.b.shape[:-1], self.a.shape[-1])
        for decay, step in zip(decays, self.step, strict=True):
            torch.mul(step, self.a, out=decay).exp_()
        return decays

    def cut(self, x: Tensor) -> Tensor:
        """(..., L, C) -> (T, ..., n, C); steps of zeros, which change no state, fill the last."""
        x = F.pad(x, (0, 0, 0, -self.length % self.size))
        return x.unflatten(-2, (-1, self.size)).movedim(-2, 0).contiguous()

    def joined(self, x: Tensor) -> Tensor:
        """Undo :meth:`cut`."""
        return x.movedim(0, -2).flatten(-3, -2)[..., : self.length, :]

    def advance(self, t: int, state: Tensor, out: Tensor) -> Tensor:
        """The state after step t, from that before it."""
        return torch.mul(state, self.decays[t], out=out).addcmul_(self.moved[t], self.b[t])

    def carries(self, total: Tensor, reverse: bool) -> Tensor:
        """The states in which chunks start, of what each makes of zeros: (..., n, N, D)."""
        product = torch.exp(self.step.sum(0) * self.a)
        return carries(product.flatten(-2), total.flatten(-2), reverse).view_as(total)


def _gradients(chunks: _Chunks, starts: Tensor, grad: Tensor, reverse: bool) -> tuple[Tensor, ...]:
    """Of ``u``, ``step``, ``a``, ``b`` and ``c``: the adjoint states, a scan the other way."""
    grad = chunks.cut(grad).unsqueeze(-2)  # (T, ..., n, 1, D)
    order, a, decays = chunks.order, chunks.a, chunks.decays
    states, before, state = torch.empty_like(decays), {}, starts
    for t in order:
        before[t], state = state, chunks.advance(t, state, out=states[t])
    product, total = torch.empty_like(starts), torch.zeros_like(starts)
    for t in reversed(order):
        total.addcmul_(grad[t], chunks.c[t]).mul_(decays[t])
    adjoint = chunks.carries(total, not reverse)
    grad_a = torch.zeros_like(adjoint)
    grad_step, grad_moved = torch.empty_like(chunks.step), torch.empty_like(chunks.step)
    grad_b, grad_c = torch.empty_like(chunks.b), torch.empty_like(chunks.c)

    def summed(x: Tensor, y: Tensor, dim: int, out: Tensor) -> None:
        torch.sum(torch.mul(x, y, out=product), dim, keepdim=True, out=out)

    for t in reversed(order):
        adjoint.addcmul_(grad[t], chunks.c[t])
        summed(states[t], grad[t], -1, grad_c[t])
        summed(adjoint, chunks.moved[t], -1, grad_b[t])
        summed(adjoint, chunks.b[t], -2, grad_moved[t])
        adjoint.mul_(decays[t])  # what the step before is given back
        exponent = torch.mul(adjoint, before[t], out=product)
        grad_a.addcmul_(exponent, chunks.step[t])
        summed(exponent, a, -2, grad_step[t])
    grad_step.addcmul_(grad_moved, chunks.u)
    grad_u = grad_moved.mul_(chunks.step)
    grad_u, grad_step = (chunks.joined(t.squeeze(-2)) for t in (grad_u, grad_step))
    grad_b, grad_c = (chunks.joined(t.squeeze(-1)) for t in (grad_b, grad_c))
    return grad_u, grad_step, _of_rates(grad_a, a), grad_b, grad_c


def _of_rates(grad: Tensor, a: Tensor) -> Tensor:
    """(..., n, N, D), summed over what ``a`` (..., 1, N, D) was the same for -> (..., D, N)."""
    return grad.sum_to_size(a.shape).squeeze(-3).transpose(-1, -2)
