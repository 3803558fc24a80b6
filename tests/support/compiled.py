"""What torch.compile makes of a module."""

from collections.abc import Callable

from torch import Tensor, nn


def check_compiled(
    module: nn.Module,
    compiled: Callable,
    inputs: tuple[Tensor, ...],
    plain: Callable | None = None,
) -> None:
    """Compare results and all gradients with those of the module itself, or of ``plain``."""
    ours, expected = (_results(run, module, inputs) for run in (compiled, plain or module))
    assert ours.keys() == expected.keys()
    for name, value in ours.items():
        # torch.compile adds in another order: about 1e-7 of the whole, but far more of an element
        # whose terms cancel, so that no bound on single elements holds.
        assert (value - expected[name]).norm() <= 1e-5 * expected[name].norm(), name


def _results(run: Callable, module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    inputs = tuple(x.detach().clone().requires_grad_() for x in inputs)
    module.zero_grad()
    out = run(*inputs)
    out.square().sum().backward()
    gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    return dict(out=out, **gradients, **{f"input {i}": x.grad for i, x in enumerate(inputs)})
