"""Using the linears inside a layer, whatever a user has put in their place or around them.

Quantisation, LoRA, pruning, weight norm and offloading change what calling a child computes, not
what its ``weight`` holds.
"""

from torch import Tensor, nn
from torch.func import functional_call


def is_plain(linear: nn.Module, has_bias: bool = True) -> bool:
    """Whether weight and bias are all that ``linear`` computes with, so that they may be read."""
    return (
        type(linear) is nn.Linear  # parametrizations change the type
        and (linear.bias is not None) == has_bias
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
