"""FreqScale's routing MLP in one launch: too small to be worth the five it takes otherwise."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..autocast import float32_island
from ..fused import is_differentiated, plain_backward
from .launch import on_device_of
from .tanh import tanh

BLOCK = 128  # channels, or weights of bases, at a time


@triton.jit
def route(
    mean_ptr, first_ptr, scale_ptr, bias_ptr, second_ptr, out_ptr,
    C: tl.constexpr, HIDDEN: tl.constexpr, OUT: tl.constexpr, PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """One program for an image: (C,) -> (OUT,); PADDED is HIDDEN as a power of two."""
    image = tl.program_id(0)
    unit = tl.arange(0, PADDED)
    is_unit = unit < HIDDEN
    hidden = tl.zeros((PADDED,), tl.float32)
    for start in range(0, C, BLOCK):
        channel = start + tl.arange(0, BLOCK)
        inside = is_unit[:, None] & (channel < C)[None, :]
        weights = tl.load(first_ptr + unit[:, None] * C + channel[None, :], inside, 0.0)
        mean = tl.load(mean_ptr + image * C + channel, channel < C, 0.0)
        hidden += tl.sum(weights * mean[None, :], 1)
    hidden = tl.maximum(hidden, 0.0)
    hidden = tl.load(scale_ptr) * hidden * hidden + tl.load(bias_ptr)
    for start in range(0, OUT, BLOCK):
        out = start + tl.arange(0, BLOCK)
        inside = (out < OUT)[:, None] & is_unit[None, :]
        weights = tl.load(second_ptr + out[:, None] * HIDDEN + unit[None, :], inside, 0.0)
        found = tl.sum(weights * hidden[None, :], 1)
        tl.store(out_ptr + image * OUT + out, tanh(found), out < OUT)


class Route(torch.autograd.Function):
    """:func:`routed`; ``apply`` takes its arguments."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        ctx.save_for_backward(*inputs)
        return routed(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        with float32_island(grad):
            if is_differentiated():
                return plain_backward(plain_route, ctx.saved_tensors, grad)
            return _grads(grad, *ctx.saved_tensors)


def routed(mean: Tensor, first: Tensor, scale: Tensor, bias: Tensor, second: Tensor) -> Tensor:
    """:func:`plain_route` on a GPU; all in float32."""
    batch, channels = mean.shape
    out = torch.empty(batch, second.shape[0], device=mean.device)
    with on_device_of(mean):
        route[(batch,)](
            mean.contiguous(), first.contiguous(), scale, bias, second.contiguous(), out,
            C=channels, HIDDEN=first.shape[0], OUT=second.shape[0],
            PADDED=triton.next_power_of_2(first.shape[0]), BLOCK=BLOCK,
        )  # fmt: skip
    return out


def _grads(
    grad: Tensor, mean: Tensor, first: Tensor, scale: Tensor, bias: Tensor, second: Tensor
) -> tuple[Tensor, ...]:
    """Gradients of the inputs of :func:`plain_route`."""
    relu = torch.relu(mean @ first.t())  # (B, hidden)
    squared = relu.square()
    hidden = scale * squared + bias
    grad = grad * (1 - torch.tanh(hidden @ second.t()).square())  # (B, G * f)
    grad_hidden = grad @ second
    grad_before = grad_hidden * (2 * scale * relu)
    grad_scale = (grad_hidden * squared).sum().view_as(scale)
    grad_bias = grad_hidden.sum().view_as(bias)
    grad_weights = grad_before.t() @ mean, grad.t() @ hidden
    return grad_before @ first, grad_weights[0], grad_scale, grad_bias, grad_weights[1]


def plain_route(
    mean: Tensor, first: Tensor, scale: Tensor, bias: Tensor, second: Tensor
) -> Tensor:
    """The routing MLP without a kernel.

    Args:
        mean: (B, C), the map's means.
        first: (hidden, C), the first linear's weight.
        scale: (1,), of StarReLU, like ``bias``.
        bias: (1,).
        second: (G * f, hidden), the second linear's weight.

    Returns:
        (B, G * f), in (-1, 1).
    """
    hidden = scale * torch.relu(mean @ first.t()).square() + bias
    return torch.tanh(hidden @ second.t())
