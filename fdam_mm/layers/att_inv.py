"""Attention Inversion (AttInv): the high-pass path beside softmax attention.

Legend of the shape comments: B batch, N tokens, C channels, h heads, d = C / h channels of a head,
``...`` any leading dimensions.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .autocast import at_least_float32, float32_island
from .children import call, is_plain
from .fused import is_differentiated, plain_backward, run
from .kernels import can_use_kernels, gate_and_mix
from .star_relu import StarReLU

HIGH_GATE_OFFSET = 0.3678  # of the official release; close to 1/e and not equal to it


class _SquaredReLULinear(torch.autograd.Function):
    """``relu(x)**2 @ weight.T + bias`` that keeps ``x`` alone; autograd would keep two more."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        ctx.save_for_backward(*inputs)
        return _squared_relu_linear(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, _ = ctx.saved_tensors
        with float32_island(x):
            if is_differentiated():
                return plain_backward(_plain_squared_relu_linear, ctx.saved_tensors, grad)
            relu = torch.relu(x).to(weight.dtype)  # (..., C)
            grad_x = (grad @ (2 * weight)).mul_(relu).to(x.dtype)
            tokens = relu.mul_(relu).reshape(-1, relu.shape[-1])  # (T, C), T all tokens
            grad = grad.reshape(-1, grad.shape[-1])
            return grad_x, grad.t() @ tokens, grad.sum(0)


def _squared_relu_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    relu = torch.relu(x).to(weight.dtype)
    return F.linear(relu.mul_(relu), weight, bias)


def _plain_squared_relu_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(torch.relu(x).to(weight.dtype).square(), weight, bias)


class _FrequencyMix(torch.autograd.Function):
    """:func:`_plain_mix` without saved intermediates."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        ctx.save_for_backward(*inputs)
        return _mix(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, v, low, gamma_low, high, gamma_high = ctx.saved_tensors
        grad_v = grad_low = grad_gamma_low = grad_high = grad_gamma_high = None
        with float32_island(y):
            if is_differentiated():
                return plain_backward(_plain_mix, ctx.saved_tensors, grad)
            grad_y = grad.clone(memory_format=torch.contiguous_format)
            along_y = grad * y
            if high is not None:
                along_v = (grad * v).sub_(along_y)
                grad_high, grad_gamma_high = _gate_grads(along_v, high, gamma_high)
                grad_v = torch.mul(grad, high.to(y.dtype).unsqueeze(-1), out=along_v)
                grad_y -= grad_v.mul_(gamma_high.to(y.dtype))
            if low is not None:
                grad_low, grad_gamma_low = _gate_grads(along_y, low, gamma_low)
                scaled = torch.mul(grad, low.to(y.dtype).unsqueeze(-1), out=along_y)
                grad_y.addcmul_(scaled, gamma_low.to(y.dtype))
        return grad_y, grad_v, grad_low, grad_gamma_low, grad_high, grad_gamma_high


def _mix(
    y: Tensor,
    v: Tensor,
    low: Tensor | None,
    gamma_low: Tensor | None,
    high: Tensor | None,
    gamma_high: Tensor | None,
) -> Tensor:
    """:func:`_plain_mix` with one map of memory beside the result."""
    spare = torch.empty_like(y)
    out = y
    if high is not None and gamma_high is not None:
        torch.mul(high.to(y.dtype).unsqueeze(-1), gamma_high.to(y.dtype), out=spare)
        out = torch.lerp(y, v.to(y.dtype), spare)
    if low is not None and gamma_low is not None:
        torch.mul(y, low.to(y.dtype).unsqueeze(-1), out=spare)
        into = None if out is y else out
        out = torch.addcmul(out, spare, gamma_low.to(y.dtype), out=into)
    return out


def _plain_mix(
    y: Tensor,
    v: Tensor,
    low: Tensor | None,
    gamma_low: Tensor | None,
    high: Tensor | None,
    gamma_high: Tensor | None,
) -> Tensor:
    """``y + y * low * gamma_low + (v - y) * high * gamma_high``.

    ``y`` and ``v`` are (..., h, d), ``low`` and ``high`` (..., h), the gammas (h, d). A gate and
    its gamma are both None where that path is switched off.
    """
    out = y
    if high is not None and gamma_high is not None:
        weight = high.to(y.dtype).unsqueeze(-1) * gamma_high.to(y.dtype)
        out = torch.lerp(y, v.to(y.dtype), weight)
    if low is not None and gamma_low is not None:
        out = torch.addcmul(out, y * low.to(y.dtype).unsqueeze(-1), gamma_low.to(y.dtype))
    return out


def _gate_grads(product: Tensor, gate: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of a gate (..., h) and its gamma (h, d) from grad * path, (..., h, d)."""
    product = product.to(gamma.dtype).reshape(-1, *gamma.shape)  # (T, h, d), T all tokens
    gate_THh = gate.to(gamma.dtype).reshape(-1, gate.shape[-1])  # (T, h)
    grad_gate = torch.einsum("thd,hd->th", product, gamma).view_as(gate).to(gate.dtype)
    return grad_gate, torch.einsum("th,thd->hd", gate_THh, product)


class AttInv(nn.Module):
    """The gates and the mix of Attention Inversion (FDAM, arXiv 2507.12006, section 3.2).

    With φ = StarReLU(x), the attention's values ``v`` and its result ``y = A v``::

        low  = tanh(φ W_lowᵀ + b_low)                           one per token and head, in (-1, 1)
        s    = softplus(φ W_highᵀ + b_high)
        high = 2 s² / (s² + 0.3678)                             one per token and head, in (0, 2)
        out  = y + γ_low * low * y + γ_high * high * (v - y)    γ: one per channel

    ``A`` itself is not needed, so any fused attention serves. The gates are computed in float32
    also under autocast; with γ = 0 the layer is the identity on ``y``.

    Args:
        dim: Channels C of x, v and y.
        num_heads: Heads h; C must be a multiple of it.
        low: Keep the low-pass path; without it neither its gate nor its γ exist.
        high: Keep the high-pass path, likewise.
        gamma_init: Start value of both γ.

    Raises:
        ValueError: ``dim`` is not a multiple of ``num_heads``.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        low: bool = True,
        high: bool = True,
        gamma_init: float = 1e-5,
    ) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ValueError(f"dim {dim} is not a multiple of num_heads {num_heads}")
        self.num_heads = num_heads
        self.low, self.high = low, high
        if low or high:
            self.act = StarReLU()
        if low:
            self.low_gate = nn.Linear(dim, num_heads)
            self.low_gamma = nn.Parameter(torch.full((dim,), gamma_init))
        if high:
            self.high_gate = nn.Linear(dim, num_heads)
            self.high_gamma = nn.Parameter(torch.full((dim,), gamma_init))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Gates as torch starts linears, as in the official release."""
        for gate in self._gates():
            gate.reset_parameters()

    def _gates(self) -> list[nn.Linear]:
        """The linears of those paths that are on, low before high."""
        names = ["low_gate"] * self.low + ["high_gate"] * self.high
        return [getattr(self, name) for name in names]

    def gates(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """``low`` and ``high``, each (..., h), or None where switched off; ``x`` is (..., C)."""
        if not (self.low or self.high):
            return None, None
        with float32_island(x):
            logits = self._logits(x)  # (..., h or 2h)
            low, high = logits[..., : self.num_heads], logits[..., -self.num_heads :]
            return torch.tanh(low) if self.low else None, high_gate(high) if self.high else None

    def _logits(self, x: Tensor) -> Tensor:
        """Both gates before their squashing, in at least float32."""
        gates = self._gates()
        if not self._has_plain_gates():
            phi = self.act(at_least_float32(x))
            return torch.cat([call(gate, phi) for gate in gates], dim=-1)
        # One product serves both gates, with StarReLU folded into the linear:
        # W (s relu(x)² + b) + c = (s W) relu(x)² + (b ΣW + c)
        weight = torch.cat([at_least_float32(gate.weight) for gate in gates])  # (h or 2h, C)
        bias = torch.cat([at_least_float32(gate.bias) for gate in gates])
        bias = torch.addcmul(bias, self.act.bias, weight.sum(1))
        weight = self.act.scale * weight
        return run(
            _SquaredReLULinear, _squared_relu_linear, _plain_squared_relu_linear, x, weight, bias
        )

    def _has_plain_gates(self) -> bool:
        return type(self.act) is StarReLU and all(map(is_plain, self._gates()))

    def forward(self, x: Tensor, v: Tensor, y: Tensor) -> Tensor:
        """Mix the low- and high-pass paths.

        Args:
            x: (..., C), the normed input of the attention.
            v: The values that ``y`` averages: (..., C), heads side by side in C, or (B, h, N, d)
                beside an ``x`` of (B, N, C), as attention functions take and return them.
            y: The attention's result before its output projection, in the layout of ``v``.

        Returns:
            (..., C), ready for the output projection, in the dtype of ``y``.
        """
        if self.low and self.high and can_use_kernels(y) and self._has_plain_gates():
            return self._mix_by_kernel(x, v, y)
        if y.ndim > x.ndim:
            v, y = (t.transpose(-3, -2).flatten(-2) for t in (v, y))  # (B, h, N, d) -> (B, N, C)
        if not (self.low or self.high):
            return y
        low, high = self.gates(x)
        heads = (self.num_heads, -1)
        return run(
            _FrequencyMix,
            _mix,
            _plain_mix,
            y.unflatten(-1, heads),
            v.unflatten(-1, heads),
            low,
            self.low_gamma.view(heads) if self.low else None,
            high,
            self.high_gamma.view(heads) if self.high else None,
        ).flatten(-2)

    def _mix_by_kernel(self, x: Tensor, v: Tensor, y: Tensor) -> Tensor:
        heads = (self.num_heads, -1)
        if y.ndim > x.ndim:
            v, y = (t.transpose(-3, -2) for t in (v, y))  # (B, h, N, d) -> (B, N, h, d)
        else:
            v, y = (t.unflatten(-1, heads) for t in (v, y))
        parameters: list[Tensor] = [self.act.scale, self.act.bias]
        for gate in self._gates():
            parameters += [gate.weight, gate.bias]
        gammas = self.low_gamma.view(heads), self.high_gamma.view(heads)
        with float32_island(x):
            return gate_and_mix(x, y, v, *parameters, *gammas).flatten(-2)

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}, low={self.low}, high={self.high}"


def high_gate(logits: Tensor) -> Tensor:
    """``2 s² / (s² + 0.3678)`` with s = softplus(logits): any shape, in (0, 2)."""
    squared = F.softplus(logits).square()
    return 2 * squared / (squared + HIGH_GATE_OFFSET)
