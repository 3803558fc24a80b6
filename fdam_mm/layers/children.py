"""Using the linears inside a layer, whatever a user has put in their place or around them.

Quantisation, LoRA, pruning, weight norm and offloading change what calling a child computes, not
what its ``weight`` holds.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F


def is_plain(linear: nn.Module, has_bias: bool | None = True) -> bool:
    """Whether weight and bias are all that ``linear`` computes with, so that they may be read.

    Args:
        linear: What stands where a linear was made.
        has_bias: Whether it must have a bias; None takes either.
    """
    return (
        type(linear) is nn.Linear  # parametrizations change the type
        and has_bias in (None, linear.bias is not None)
        and type(linear.weight) in (nn.Parameter, Tensor)
        and "forward" not in linear.__dict__
        and not linear._forward_pre_hooks
        and not linear._forward_hooks
        and not linear._backward_pre_hooks
        and not linear._backward_hooks
    )


def call(module: nn.Module, x: Tensor) -> Tensor:
    """``module(x)`` in the precision of ``x``, also where the module's own is another."""
    others = {
        name: parameter.to(x.dtype)
        for name, parameter in module.named_parameters()
        if parameter.dtype != x.dtype and parameter.is_floating_point()
    }
    return functional_call(module, others, (x,)) if others else module(x)


def bias_of(linear: Any, x: Tensor) -> Tensor:
    """What ``linear``, given ``x`` (..., C), adds to its product: what it makes of zeros."""
    return linear.bias if is_plain(linear) else linear(x.new_zeros(1, x.shape[-1]))[0]


def without_bias(linear: Any, x: Tensor) -> Tensor:
    """``linear(x)`` without its bias: (..., C) -> (..., C_out)."""
    return F.linear(x, linear.weight) if is_plain(linear, None) else linear(x) - bias_of(linear, x)


def part_of(linear: Any, x: Tensor, choose: Callable[[Tensor], Tensor]) -> Tensor:
    """``choose(linear(x))`` without computing the rest, where that can be.

    Args:
        linear: (..., C) -> (..., C_out).
        x: Its input.
        choose: Takes some of the last dimension's C_out entries, and nothing more.
    """
    if not is_plain(linear, None):
        return choose(linear(x))
    bias = None if linear.bias is None else choose(linear.bias)
    return F.linear(x, choose(linear.weight.T).T, bias)
