"""What torch.compile makes of a module."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def check_compiled(module: nn.Module, compiled: Callable, inputs: tuple[Tensor, ...]) -> None:
    """Compare results and all gradients with those of the module itself."""
    ours, expected = (_results(run, module, inputs) for run in (compiled, module))
    assert ours.keys() == expected.keys()
    for name, value in ours.items():
        torch.testing.assert_close(
            value, expected[name], msg=lambda text, name=name: f"{name}: {text}"
        )


def _results(run: Callable, module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    inputs = tuple(x.detach().clone().requires_grad_() for x in inputs)
    module.zero_grad()
    out = run(*inputs)
    out.square().sum().backward()
    gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    return dict(out=out, **gradients, **{f"input {i}": x.grad for i, x in enumerate(inputs)})
