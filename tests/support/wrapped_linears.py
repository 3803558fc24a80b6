"""What users and their tools put around a linear, and the weight that computes the same."""

from collections.abc import Callable, Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune


class Lora(nn.Module):
    """A linear with a low-rank update beside it; ``weight`` is the old one, as peft has it."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Linear(base.in_features, 2, bias=False)
        self.up = nn.Linear(2, base.out_features, bias=False)

    weight = property(lambda self: self.base.weight)
    bias = property(lambda self: self.base.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))

    def merged(self) -> Tensor:
        return self.base.weight + self.up.weight @ self.down.weight


class Halved(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2


def lora(linear: nn.Linear) -> tuple[nn.Module, Tensor]:
    lora = Lora(linear)
    return lora, lora.merged().detach()


def pruned(linear: nn.Linear) -> tuple[nn.Module, Tensor]:
    prune.l1_unstructured(linear, "weight", amount=0.5)
    with torch.no_grad():
        linear.weight_orig.mul_(3)  # as an optimizer would, after pruning
    return linear, linear.weight_orig.detach() * linear.weight_mask


def parametrized(linear: nn.Linear) -> tuple[nn.Module, Tensor]:
    torch.nn.utils.parametrize.register_parametrization(linear, "weight", Halved())
    return linear, linear.weight.detach()


def weight_norm(linear: nn.Linear) -> tuple[nn.Module, Tensor]:
    parametrizations.weight_norm(linear)
    with torch.no_grad():
        linear.parametrizations.weight.original0.mul_(2)
    return linear, linear.weight.detach()


def hooked(linear: nn.Linear) -> tuple[nn.Module, Tensor]:
    """An output hook that adds what a weight twice as large would."""
    weight = linear.weight.detach()
    linear.register_forward_hook(lambda _, args, out: out + nn.functional.linear(args[0], weight))
    return linear, 2 * weight


def replaced_forward(linear: nn.Linear) -> tuple[nn.Module, Tensor]:
    """As accelerate hooks into a module."""
    weight, bias = linear.weight.detach() * 2, linear.bias
    linear.forward = lambda x: nn.functional.linear(x, weight, bias)
    return linear, weight


def linears(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                yield parent, name, child


WRAPPERS = (lora, pruned, parametrized, weight_norm, hooked, replaced_forward)


def wrap_linears(
    model: nn.Module, wrap: Callable[[nn.Linear], tuple[nn.Module, Tensor]]
) -> tuple[nn.Module, nn.Module]:
    """Copies of ``model``: every linear wrapped, and with the weights that these stand for."""
    wrapped, merged = deepcopy(model), deepcopy(model)
    pairs = list(zip(linears(wrapped), linears(merged), strict=True))
    assert len(pairs) >= 6  # the gates and the routing are among them
    for (parent, name, linear), (_, _, plain) in pairs:
        replacement, weight = wrap(linear)
        setattr(parent, name, replacement)
        plain.weight.data = weight
    return wrapped, merged
