"""What is exported: a model's computation, with the results of parts of it on demand."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Core(nn.Module):
    """Normalised (B, 3, H, W) -> the results of a model.

    Args:
        model: Of a toolkit.
        probes: Names of modules inside whose first results are given too, in this order.

    Attributes:
        task: As :class:`fdam_mm.runtime.Description` has it.
        compared: Names of the results that are compared with torch's.
    """

    task: str
    compared: tuple[str, ...]

    def __init__(self, model: nn.Module, probes: Sequence[str] = ()) -> None:
        super().__init__()
        self.model = model
        self._probes = tuple(probes)

    @property
    def outputs(self) -> list[str]:
        """Names of the results."""
        return [*self.compared, *(f"probe_{index}" for index in range(len(self._probes)))]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        results, probed = self._computed(image)
        return *results, *probed

    def _computed(self, x: Tensor) -> tuple[tuple[Tensor, ...], list[Tensor]]:
        """The model's results, and those of the probes."""
        found: dict[str, Tensor] = {}
        with _probing(self.model, self._probes, found):
            results = self._results(x)
        return results, [found[name] for name in self._probes]

    @abstractmethod
    def _results(self, x: Tensor) -> tuple[Tensor, ...]:
        """Those that are ``compared``."""


class _probing:
    """Within it, ``found`` gets the first result of each of the named modules."""

    def __init__(self, model: nn.Module, names: Sequence[str], found: dict[str, Tensor]) -> None:
        self._modules = {name: model.get_submodule(name) for name in names}
        self._found = found

    def __enter__(self) -> None:
        self._hooks = [
            module.register_forward_hook(lambda _, __, out, name=name: self._keep(name, out))
            for name, module in self._modules.items()
        ]

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _keep(self, name: str, out: Any) -> None:
        self._found[name] = first_tensor(out)


def first_tensor(out: Any) -> Any:
    """Of a module's result; None where there is none."""
    while isinstance(out, list | tuple) and out:
        out = out[0]
    return out if isinstance(out, Tensor) else None


def parts(model: nn.Module, core: Core, image: Tensor) -> list[str]:
    """Names of the stages and blocks of a model, in the order in which they end.

    That is: its own children, and the members of lists of modules, that give a map of numbers.
    """
    lists = {n for n, m in model.named_modules() if isinstance(m, nn.ModuleList | nn.Sequential)}
    names = [n for n, m in model.named_modules() if n and _is_part(n, m, lists)]
    order: list[str] = []

    def keep(name: str, out: Any) -> None:
        tensor = first_tensor(out)
        if tensor is not None and tensor.is_floating_point() and name not in order:
            order.append(name)

    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: keep(name, out)
        )
        for name in names
    ]
    try:
        with torch.no_grad():
            core(image)
    finally:
        for hook in hooks:
            hook.remove()
    return order


def _is_part(name: str, module: nn.Module, lists: set[str]) -> bool:
    parent = name.rpartition(".")[0]
    return not parent or (parent in lists and any(True for _ in module.children()))
