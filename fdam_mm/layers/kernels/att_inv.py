"""AttInv in one pass forward: its gates and the mix of every head, on any layout of the heads.

The forward reads the attention's input, its values and its result once and writes the mix, and the
logits of the gates for the backward. That reads y, v, the logits and the gradient, and writes
theirs; the gates' linears get theirs by products of matrices. All is computed in float32.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..att_inv import HIGH_GATE_OFFSET, high_gate
from ..autocast import float32_island
from ..fused import is_differentiated, plain_backward
from .launch import on_device_of
from .tanh import tanh

FORWARD_TOKENS = 16  # of a program
BACKWARD_TOKENS = 32
BLOCK = 64  # channels of the attention's input at a time
_OFFSET = tl.constexpr(HIGH_GATE_OFFSET)


@triton.jit
def _gates(low, u):
    """tanh and the high-pass gate of logits, and what the derivative of the second needs."""
    s = tl.maximum(u, 0.0) + tl.log(1 + tl.exp(-tl.abs(u)))  # softplus
    return tanh(low), s, 2 * s * s / (s * s + _OFFSET)


@triton.jit
def _places(token, within, N, stride_b, stride_n):
    """Offsets (tokens, channels) into a tensor (B, N, ...), ``within`` that of a channel."""
    rows = (token // N).to(tl.int64) * stride_b + (token % N) * stride_n
    return rows[:, None] + within[None, :]


@triton.jit
def _weights(low_ptr, high_ptr, channel, C, HEADS: tl.constexpr, PADDED_GATES: tl.constexpr):
    """(channels, PADDED_GATES): the low gates' weights, then those of the high ones."""
    gate = tl.arange(0, PADDED_GATES)
    inside = (channel < C)[:, None]
    low_at = gate[None, :] * C + channel[:, None]
    low = tl.load(low_ptr + low_at, inside & (gate < HEADS)[None, :], 0.0)
    is_high = (gate >= HEADS) & (gate < 2 * HEADS)
    high_at = (gate - HEADS)[None, :] * C + channel[:, None]
    return low + tl.load(high_ptr + high_at, inside & is_high[None, :], 0.0)


@triton.jit
def mix_forward(
    x_ptr, y_ptr, v_ptr, scale_ptr, bias_ptr, low_w_ptr, low_b_ptr, high_w_ptr, high_b_ptr,
    low_gamma_ptr, high_gamma_ptr, logits_ptr, gates_ptr, out_ptr, tokens, N,
    y_b, y_n, y_h, y_d, v_b, v_n, v_h, v_d,
    HEADS: tl.constexpr, DIM: tl.constexpr, PADDED_GATES: tl.constexpr,
    TOKENS: tl.constexpr, BLOCK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One program mixes TOKENS tokens; x is (tokens, HEADS * DIM), contiguous, like out."""
    C: tl.constexpr = HEADS * DIM
    token = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    is_token = token < tokens
    row = token.to(tl.int64) * C
    scale, bias = tl.load(scale_ptr), tl.load(bias_ptr)
    gate = tl.arange(0, PADDED_GATES)
    is_low, is_high = gate < HEADS, (gate >= HEADS) & (gate < 2 * HEADS)
    logits = tl.zeros((TOKENS, PADDED_GATES), tl.float32)
    for start in range(0, C, BLOCK):
        channel = start + tl.arange(0, BLOCK)
        inside = is_token[:, None] & (channel < C)[None, :]
        x = tl.load(x_ptr + row[:, None] + channel[None, :], inside, 0.0).to(tl.float32)
        x = tl.maximum(x, 0.0)
        weights = _weights(low_w_ptr, high_w_ptr, channel, C, HEADS, PADDED_GATES)
        logits = tl.dot(scale * x * x + bias, weights, logits, input_precision=PRECISION)
    logits += (
        tl.load(low_b_ptr + gate, is_low, 0.0) + tl.load(high_b_ptr + gate - HEADS, is_high, 0.0)
    )[None, :]
    logits_at = token[:, None] * (2 * HEADS) + gate[None, :]
    is_gate = is_token[:, None] & (gate < 2 * HEADS)[None, :]
    tl.store(logits_ptr + logits_at, logits, is_gate)
    as_low, _, as_high = _gates(logits, logits)
    tl.store(gates_ptr + logits_at, tl.where(is_low[None, :], as_low, as_high), is_gate)
    tl.debug_barrier()  # every thread of the program reads what others stored
    for start in range(0, C, BLOCK):
        channel = start + tl.arange(0, BLOCK)
        head, of = channel // DIM, channel % DIM
        inside = is_token[:, None] & (channel < C)[None, :]
        y_at = _places(token, head * y_h + of * y_d, N, y_b, y_n)
        v_at = _places(token, head * v_h + of * v_d, N, v_b, v_n)
        y = tl.load(y_ptr + y_at, inside, 0.0).to(tl.float32)
        v = tl.load(v_ptr + v_at, inside, 0.0).to(tl.float32)
        gate_at = token[:, None] * (2 * HEADS) + head[None, :]
        low = tl.load(gates_ptr + gate_at, inside, 0.0)
        high = tl.load(gates_ptr + gate_at + HEADS, inside, 0.0)
        gamma_low = tl.load(low_gamma_ptr + channel, channel < C, 0.0)
        gamma_high = tl.load(high_gamma_ptr + channel, channel < C, 0.0)
        out = y + low * gamma_low[None, :] * y + high * gamma_high[None, :] * (v - y)
        tl.store(
            out_ptr + row[:, None] + channel[None, :], out.to(out_ptr.dtype.element_ty), inside
        )


@triton.jit
def mix_backward(
    grad_ptr, y_ptr, v_ptr, logits_ptr, low_gamma_ptr, high_gamma_ptr,
    grad_y_ptr, grad_v_ptr, grad_logits_ptr, grad_low_gamma_ptr, grad_high_gamma_ptr, tokens, N,
    y_b, y_n, y_h, y_d, v_b, v_n, v_h, v_d, gy_b, gy_n, gy_h, gy_d, gv_b, gv_n, gv_h, gv_d,
    HEADS: tl.constexpr, DIM: tl.constexpr, TOKENS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    """One program for TOKENS tokens of a head: the gradients of y, v and the logits, those of γ
    summed over the program."""
    head = tl.program_id(1)
    token = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    is_token = token < tokens
    channel = tl.arange(0, PADDED)
    inside = is_token[:, None] & (channel < DIM)[None, :]
    y_at = _places(token, head * y_h + channel * y_d, N, y_b, y_n)
    v_at = _places(token, head * v_h + channel * v_d, N, v_b, v_n)
    at = token[:, None].to(tl.int64) * (HEADS * DIM) + head * DIM + channel[None, :]
    grad = tl.load(grad_ptr + at, inside, 0.0).to(tl.float32)
    y = tl.load(y_ptr + y_at, inside, 0.0).to(tl.float32)
    v = tl.load(v_ptr + v_at, inside, 0.0).to(tl.float32)
    logit = token * (2 * HEADS) + head
    u = tl.load(logits_ptr + logit + HEADS, is_token, 0.0)
    low, s, high = _gates(tl.load(logits_ptr + logit, is_token, 0.0), u)
    gamma_low = tl.load(low_gamma_ptr + head * DIM + channel, channel < DIM, 0.0)
    gamma_high = tl.load(high_gamma_ptr + head * DIM + channel, channel < DIM, 0.0)
    grad_v = grad * high[:, None] * gamma_high[None, :]
    grad_y = grad + grad * low[:, None] * gamma_low[None, :] - grad_v
    y_at = _places(token, head * gy_h + channel * gy_d, N, gy_b, gy_n)
    v_at = _places(token, head * gv_h + channel * gv_d, N, gv_b, gv_n)
    tl.store(grad_y_ptr + y_at, grad_y.to(grad_y_ptr.dtype.element_ty), inside)
    tl.store(grad_v_ptr + v_at, grad_v.to(grad_v_ptr.dtype.element_ty), inside)
    along_low, along_high = grad * y, grad * (v - y)
    part = (tl.program_id(0) * HEADS + head) * DIM + channel
    tl.store(grad_low_gamma_ptr + part, tl.sum(along_low * low[:, None], 0), channel < DIM)
    tl.store(grad_high_gamma_ptr + part, tl.sum(along_high * high[:, None], 0), channel < DIM)
    grad_low = tl.sum(along_low * gamma_low[None, :], 1) * (1 - low * low)
    slope = 4 * _OFFSET * s / ((s * s + _OFFSET) * (s * s + _OFFSET)) * tl.sigmoid(u)
    grad_high = tl.sum(along_high * gamma_high[None, :], 1) * slope
    tl.store(grad_logits_ptr + logit, grad_low, is_token)
    tl.store(grad_logits_ptr + logit + HEADS, grad_high, is_token)


class GateAndMix(torch.autograd.Function):
    """:func:`plain_gate_and_mix` on a GPU; ``apply`` takes the arguments of
    :func:`gate_and_mix_forward`."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        out, logits = gate_and_mix_forward(*inputs)
        ctx.save_for_backward(*inputs, logits)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, logits = ctx.saved_tensors
        with float32_island(grad):
            if is_differentiated():
                return plain_backward(plain_gate_and_mix, inputs, grad)
            return gate_and_mix_backward(grad, logits, *inputs)


def gate_and_mix_forward(
    x: Tensor, y: Tensor, v: Tensor, *parameters: Tensor
) -> tuple[Tensor, Tensor]:
    """:func:`plain_gate_and_mix` on a GPU, and the gates' logits (B, N, 2 h).

    x is contiguous, and the parameters are in float32.
    """
    batch, per_image, heads, dim = y.shape
    tokens = batch * per_image
    out = torch.empty(y.shape, dtype=y.dtype, device=y.device)
    logits, gates = torch.empty(2, batch, per_image, 2 * heads, device=y.device).unbind()
    with on_device_of(y):
        mix_forward[(triton.cdiv(tokens, FORWARD_TOKENS),)](
            x, y, v, *(p.contiguous() for p in parameters), logits, gates, out,
            tokens, per_image, *y.stride(), *v.stride(),
            **forward_constants(heads, dim, exact=y.dtype == torch.float32),
        )  # fmt: skip
    return out, logits


def forward_constants(heads: int, dim: int, exact: bool) -> dict[str, Any]:
    """The constants of :func:`mix_forward`; ``exact`` keeps products in float32, else TF32."""
    return dict(
        HEADS=heads,
        DIM=dim,
        PADDED_GATES=max(16, triton.next_power_of_2(2 * heads)),
        TOKENS=FORWARD_TOKENS,
        BLOCK=BLOCK,
        PRECISION="ieee" if exact else "tf32",
    )


def gate_and_mix_backward(
    grad: Tensor, logits: Tensor, x: Tensor, y: Tensor, v: Tensor, *parameters: Tensor
) -> tuple[Tensor, ...]:
    """Gradients of the inputs of :func:`plain_gate_and_mix`, with the logits of its gates."""
    scale, bias, low_weight, _, high_weight, _, low_gamma, high_gamma = parameters
    grad_y, grad_v, grad_logits, grad_gammas = _mix_backward(
        grad, y, v, logits, low_gamma, high_gamma
    )
    weight = torch.cat([low_weight, high_weight])  # (2 h, C)
    grad_x, *of_gates = _logits_backward(grad_logits, x, scale, bias, weight)
    return grad_x, grad_y, grad_v, *of_gates, *grad_gammas


def _mix_backward(
    grad: Tensor, y: Tensor, v: Tensor, logits: Tensor, low_gamma: Tensor, high_gamma: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of y, v, the logits, and both γ (2, h, d)."""
    batch, per_image, heads, dim = y.shape
    tokens = batch * per_image
    programs = triton.cdiv(tokens, BACKWARD_TOKENS)
    grad_y, grad_v = (torch.empty_like(t) for t in (y, v))
    grad_logits = torch.empty_like(logits)
    parts = torch.empty(2, programs, heads, dim, device=y.device)
    with on_device_of(y):
        mix_backward[(programs, heads)](
            grad.contiguous(), y, v, logits, low_gamma.contiguous(), high_gamma.contiguous(),
            grad_y, grad_v, grad_logits, *parts, tokens, per_image,
            *y.stride(), *v.stride(), *grad_y.stride(), *grad_v.stride(),
            HEADS=heads, DIM=dim, TOKENS=BACKWARD_TOKENS, PADDED=triton.next_power_of_2(dim),
        )  # fmt: skip
    return grad_y, grad_v, grad_logits, parts.sum(1)


def _logits_backward(
    grad: Tensor, x: Tensor, scale: Tensor, bias: Tensor, weight: Tensor
) -> tuple[Tensor, ...]:
    """Gradients of x, scale, bias, and weight and bias of both linears, low before high."""
    grad = grad.flatten(0, -2)  # (T, 2 h), T all tokens
    relu = torch.relu(x).float().flatten(0, -2)  # (T, C)
    grad_x = (grad @ (2 * scale * weight)).mul_(relu).to(x.dtype).view_as(x)
    along = grad.t() @ relu.mul_(relu)  # (2 h, C)
    sums = grad.sum(0)  # (2 h,)
    grad_weight = scale * along + bias * sums[:, None]
    low, high = grad_weight.chunk(2)
    low_bias, high_bias = sums.chunk(2)
    grad_scale = (along * weight).sum().view_as(scale)
    grad_bias = (sums @ weight).sum().view_as(bias)
    return grad_x, grad_scale, grad_bias, low, low_bias, high, high_bias


def plain_gate_and_mix(
    x: Tensor,
    y: Tensor,
    v: Tensor,
    scale: Tensor,
    bias: Tensor,
    low_weight: Tensor,
    low_bias: Tensor,
    high_weight: Tensor,
    high_bias: Tensor,
    low_gamma: Tensor,
    high_gamma: Tensor,
) -> Tensor:
    """AttInv with both paths, without a kernel.

    Args:
        x: (B, N, C), the normed input of the attention.
        y: (B, N, h, d), what attention returned.
        v: (B, N, h, d), its values.
        scale: (1,), of StarReLU, like ``bias``.
        bias: (1,).
        low_weight: (h, C), of the low-pass gate's linear, with ``low_bias`` (h,).
        low_bias: (h,).
        high_weight: (h, C), of the high-pass gate's linear, with ``high_bias`` (h,).
        high_bias: (h,).
        low_gamma: (h, d), γ of the low-pass path.
        high_gamma: (h, d), likewise.

    Returns:
        (B, N, h, d) in the dtype of ``y``.
    """
    phi = scale * torch.relu(x.float()).square() + bias
    gate_low = (phi @ low_weight.t() + low_bias).unsqueeze(-1)  # (B, N, h, 1)
    gate_high = (phi @ high_weight.t() + high_bias).unsqueeze(-1)
    y32, v32 = y.float(), v.float()
    out = y32 + torch.tanh(gate_low) * low_gamma * y32
    return (out + high_gate(gate_high) * high_gamma * (v32 - y32)).to(y.dtype)
