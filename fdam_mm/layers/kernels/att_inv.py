"""AttInv's gates and mix in one pass forward and one backward, on any layout of the heads.

The forward reads y, v and the logits of the gates and writes the result; the backward reads these
and the gradient and writes theirs. Both compute in float32.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..att_inv import HIGH_GATE_OFFSET, high_gate
from ..fused import is_differentiated, keep_inputs, plain_backward, plain_jvp

TOKENS = 32  # of a program
_OFFSET = tl.constexpr(HIGH_GATE_OFFSET)


@triton.jit
def _gates(logits_ptr, token, head, is_token, HEADS: tl.constexpr):
    """tanh and the high-pass gate of (TOKENS,) tokens, and what their derivatives need."""
    at = token * (2 * HEADS) + head
    low = 2 * tl.sigmoid(2 * tl.load(logits_ptr + at, is_token, 0.0)) - 1
    u = tl.load(logits_ptr + at + HEADS, is_token, 0.0)
    s = tl.maximum(u, 0.0) + tl.log(1 + tl.exp(-tl.abs(u)))  # softplus
    return low, u, s, 2 * s * s / (s * s + _OFFSET)


@triton.jit
def _places(
    token, head, channel, tokens, N, stride_b, stride_n, stride_h, stride_d, DIM: tl.constexpr
):
    """Offsets (TOKENS, DIM) into a tensor (B, N, h, d) of any strides, and which are inside."""
    rows = (token // N).to(tl.int64) * stride_b + (token % N) * stride_n + head * stride_h
    inside = (token < tokens)[:, None] & (channel < DIM)[None, :]
    return rows[:, None] + channel[None, :] * stride_d, inside


@triton.jit
def mix_forward(
    y_ptr, v_ptr, logits_ptr, low_gamma_ptr, high_gamma_ptr, out_ptr, tokens, N,
    y_b, y_n, y_h, y_d, v_b, v_n, v_h, v_d,
    HEADS: tl.constexpr, DIM: tl.constexpr, TOKENS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    """One program mixes TOKENS tokens of a head."""
    head = tl.program_id(1)
    token = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    channel = tl.arange(0, PADDED)
    y_at, inside = _places(token, head, channel, tokens, N, y_b, y_n, y_h, y_d, DIM)
    v_at, _ = _places(token, head, channel, tokens, N, v_b, v_n, v_h, v_d, DIM)
    y = tl.load(y_ptr + y_at, inside, 0.0).to(tl.float32)
    v = tl.load(v_ptr + v_at, inside, 0.0).to(tl.float32)
    low, _, _, high = _gates(logits_ptr, token, head, token < tokens, HEADS)
    gamma_low = tl.load(low_gamma_ptr + head * DIM + channel, channel < DIM, 0.0)
    gamma_high = tl.load(high_gamma_ptr + head * DIM + channel, channel < DIM, 0.0)
    out = y + low[:, None] * gamma_low[None, :] * y
    out += high[:, None] * gamma_high[None, :] * (v - y)
    at = token[:, None].to(tl.int64) * (HEADS * DIM) + head * DIM + channel[None, :]
    tl.store(out_ptr + at, out.to(out_ptr.dtype.element_ty), inside)


@triton.jit
def mix_backward(
    grad_ptr, y_ptr, v_ptr, logits_ptr, low_gamma_ptr, high_gamma_ptr,
    grad_y_ptr, grad_v_ptr, grad_logits_ptr, grad_low_gamma_ptr, grad_high_gamma_ptr, tokens, N,
    y_b, y_n, y_h, y_d, v_b, v_n, v_h, v_d,
    HEADS: tl.constexpr, DIM: tl.constexpr, TOKENS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    """The gradients of what :func:`mix_forward` read; those of γ summed over the program."""
    head = tl.program_id(1)
    token = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    channel = tl.arange(0, PADDED)
    y_at, inside = _places(token, head, channel, tokens, N, y_b, y_n, y_h, y_d, DIM)
    v_at, _ = _places(token, head, channel, tokens, N, v_b, v_n, v_h, v_d, DIM)
    at = token[:, None].to(tl.int64) * (HEADS * DIM) + head * DIM + channel[None, :]
    grad = tl.load(grad_ptr + at, inside, 0.0).to(tl.float32)
    y = tl.load(y_ptr + y_at, inside, 0.0).to(tl.float32)
    v = tl.load(v_ptr + v_at, inside, 0.0).to(tl.float32)
    low, u, s, high = _gates(logits_ptr, token, head, token < tokens, HEADS)
    gamma_low = tl.load(low_gamma_ptr + head * DIM + channel, channel < DIM, 0.0)
    gamma_high = tl.load(high_gamma_ptr + head * DIM + channel, channel < DIM, 0.0)
    grad_v = grad * high[:, None] * gamma_high[None, :]
    grad_y = grad + grad * low[:, None] * gamma_low[None, :] - grad_v
    tl.store(grad_y_ptr + at, grad_y.to(grad_y_ptr.dtype.element_ty), inside)
    tl.store(grad_v_ptr + at, grad_v.to(grad_v_ptr.dtype.element_ty), inside)
    along_low, along_high = grad * y, grad * (v - y)
    part = (tl.program_id(0) * HEADS + head) * DIM + channel
    tl.store(grad_low_gamma_ptr + part, tl.sum(along_low * low[:, None], 0), channel < DIM)
    tl.store(grad_high_gamma_ptr + part, tl.sum(along_high * high[:, None], 0), channel < DIM)
    grad_low = tl.sum(along_low * gamma_low[None, :], 1) * (1 - low * low)
    slope = 4 * _OFFSET * s / ((s * s + _OFFSET) * (s * s + _OFFSET)) * tl.sigmoid(u)
    grad_high = tl.sum(along_high * gamma_high[None, :], 1) * slope
    logit = token * (2 * HEADS) + head
    tl.store(grad_logits_ptr + logit, grad_low, token < tokens)
    tl.store(grad_logits_ptr + logit + HEADS, grad_high, token < tokens)


class GateAndMix(torch.autograd.Function):
    """:func:`plain_gate_and_mix` on a GPU; ``apply`` takes its arguments."""

    @staticmethod
    def forward(y: Tensor, v: Tensor, logits: Tensor, low: Tensor, high: Tensor) -> Tensor:
        out = torch.empty(y.shape, dtype=y.dtype, device=y.device)
        grid, tokens, sizes = _launch(y)
        with torch.cuda.device_of(y):
            mix_forward[grid](
                y, v, logits.contiguous(), low, high, out,
                *tokens, *y.stride(), *v.stride(), **sizes,
            )  # fmt: skip
        return out

    setup_context = staticmethod(keep_inputs)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        if is_differentiated():
            return plain_backward(plain_gate_and_mix, ctx.saved_tensors, grad)
        y, v, logits, low, high = ctx.saved_tensors
        grid, tokens, sizes = _launch(y)
        grad_y, grad_v = (torch.empty_like(t, memory_format=_PLAIN) for t in (y, v))
        grad_logits = torch.empty_like(logits, memory_format=_PLAIN)
        parts = torch.empty(2, grid[0], *low.shape, device=y.device)  # (2, programs, h, d)
        with torch.cuda.device_of(y):
            mix_backward[grid](
                grad.contiguous(), y, v, logits.contiguous(), low, high,
                grad_y, grad_v, grad_logits, *parts, *tokens, *y.stride(), *v.stride(), **sizes,
            )  # fmt: skip
        return grad_y, grad_v, grad_logits, *parts.sum(1)

    @staticmethod
    def jvp(ctx, *tangents: Tensor | None) -> Tensor:
        return plain_jvp(plain_gate_and_mix, ctx.saved_tensors, tangents)


_PLAIN = torch.contiguous_format


def _launch(y: Tensor) -> tuple[tuple[int, int], tuple[int, int], dict[str, int]]:
    """Grid, (B * N, N) and constants for a ``y`` of (B, N, h, d)."""
    batch, per_image, heads, dim = y.shape
    tokens = batch * per_image
    sizes = dict(HEADS=heads, DIM=dim, TOKENS=TOKENS, PADDED=triton.next_power_of_2(dim))
    return (triton.cdiv(tokens, TOKENS), heads), (tokens, per_image), sizes


def plain_gate_and_mix(y: Tensor, v: Tensor, logits: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Both gates of AttInv and their mix, without a kernel.

    Args:
        y: (B, N, h, d), what attention returned.
        v: (B, N, h, d), its values.
        logits: (B, N, 2 h) in float32, of the low-pass gates, then of the high-pass ones.
        low: (h, d) in float32, γ of the low-pass path.
        high: (h, d), likewise.

    Returns:
        (B, N, h, d) in the dtype of ``y``.
    """
    gate_low, gate_high = logits.unsqueeze(-1).chunk(2, -2)  # (B, N, h, 1)
    y32, v32 = y.float(), v.float()
    out = y32 + torch.tanh(gate_low) * low * y32 + high_gate(gate_high) * high * (v32 - y32)
    return out.to(y.dtype)
