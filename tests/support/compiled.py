"""What torch.compile makes of a module."""

from collections.abc import Callable

from torch import Tensor, nn

from .golden import relative_error


def check_compiled(module: nn.Module, compiled: Callable, inputs: tuple[Tensor, ...]) -> None:
    """Compare results and all gradients with those of the module itself."""
    ours, expected = (_results(run, module, inputs) for run in (compiled, module))
    assert ours.keys() == expected.keys()
    for name, value in ours.items():
        # torch.compile may add in another order than the module.
        assert relative_error(value, expected[name]) < 1e-5, name


def _results(run: Callable, module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    inputs = tuple(x.detach().clone().requires_grad_() for x in inputs)
    module.zero_grad()
    out = run(*inputs)
    out.square().sum().backward()
    gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    return dict(out=out, **gradients, **{f"input {i}": x.grad for i, x in enumerate(inputs)})
