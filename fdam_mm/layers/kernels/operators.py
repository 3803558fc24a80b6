"""The kernels as operators of torch, which torch.compile takes into its graphs as they are.

Their gradients are the kernels' own, without any of second order, which torch.compile lacks too.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import freq_scale
from .att_inv import gate_and_mix_backward, gate_and_mix_forward


@torch.library.custom_op("fdam_mm::gate_and_mix", mutates_args=())
def gate_and_mix(x: Tensor, y: Tensor, v: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """See :func:`.att_inv.plain_gate_and_mix`; the mix, and the logits of the gates."""
    return list(gate_and_mix_forward(x, y, v, *parameters))


@gate_and_mix.register_fake
def _(x: Tensor, y: Tensor, v: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    batch, tokens, heads, _ = y.shape
    logits = y.new_empty(batch, tokens, 2 * heads, dtype=torch.float32)
    return [y.new_empty(y.shape), logits]


@torch.library.custom_op("fdam_mm::gate_and_mix_backward", mutates_args=())
def _gate_and_mix_backward(grad: Tensor, logits: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    grads = gate_and_mix_backward(grad, logits, *inputs)
    # Operators return no views, which several of the parameters' gradients are.
    return [*(g.contiguous() for g in grads[:3]), *(g.clone() for g in grads[3:])]


@_gate_and_mix_backward.register_fake
def _(grad: Tensor, logits: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    return [t.new_empty(t.shape) for t in inputs]


def _keep_mix(ctx: Any, inputs: tuple, output: list[Tensor]) -> None:
    x, y, v, parameters = inputs
    ctx.save_for_backward(output[1], x, y, v, *parameters)


def _mix_grads(ctx: Any, grads: list[Tensor]) -> tuple:
    logits, *inputs = ctx.saved_tensors
    found = _gate_and_mix_backward(grads[0], logits, inputs)
    return *found[:3], found[3:]


gate_and_mix.register_autograd(_mix_grads, setup_context=_keep_mix)


@torch.library.custom_op("fdam_mm::scale_maps", mutates_args=())
def scale_maps(
    x: Tensor,
    routing: Tensor,
    bases: Tensor,
    gamma: Tensor | None,
    shortcut: Tensor | None,
    hw: Sequence[int],
    dtype: torch.dtype,
) -> Tensor:
    """See :func:`.freq_scale.plain_scale`."""
    return freq_scale.scale_maps(x, routing, bases, gamma, shortcut, (hw[0], hw[1]), dtype)


@scale_maps.register_fake
def _(
    x: Tensor,
    routing: Tensor,
    bases: Tensor,
    gamma: Tensor | None,
    shortcut: Tensor | None,
    hw: Sequence[int],
    dtype: torch.dtype,
) -> Tensor:
    return x.new_empty(x.shape, dtype=dtype)


@torch.library.custom_op("fdam_mm::scale_maps_backward", mutates_args=())
def _scale_maps_backward(
    grad: Tensor,
    x: Tensor,
    routing: Tensor,
    bases: Tensor,
    gamma: Tensor | None,
    hw: Sequence[int],
) -> list[Tensor]:
    grads = freq_scale.scale_maps_backward(grad, x, routing, bases, gamma, (hw[0], hw[1]))
    return [g for g in grads if g is not None]


@_scale_maps_backward.register_fake
def _(
    grad: Tensor,
    x: Tensor,
    routing: Tensor,
    bases: Tensor,
    gamma: Tensor | None,
    hw: Sequence[int],
) -> list[Tensor]:
    return [t.new_empty(t.shape) for t in (x, routing, bases, gamma) if t is not None]


def _keep_maps(ctx: Any, inputs: tuple, output: Tensor) -> None:
    x, routing, bases, gamma, shortcut, ctx.hw, _ = inputs
    ctx.save_for_backward(x, routing, bases, gamma)
    ctx.shortcut = None if shortcut is None else shortcut.dtype


def _maps_grads(ctx: Any, grad: Tensor) -> tuple:
    grads = _scale_maps_backward(grad, *ctx.saved_tensors, ctx.hw)
    of_gamma = grads[3] if len(grads) > 3 else None
    of_shortcut = None if ctx.shortcut is None else grad.to(ctx.shortcut)
    return *grads[:3], of_gamma, of_shortcut, None, None


scale_maps.register_autograd(_maps_grads, setup_context=_keep_maps)
