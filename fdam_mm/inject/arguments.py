"""The arguments of a call, by position or by keyword: both ways are the same to FDAM."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from fdam_mm.errors import ForwardError

Args = tuple[Any, ...]
Kwargs = Mapping[str, Any]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def parameter_names(module: nn.Module) -> tuple[str, ...]:
    """The parameters of a module's forward that may be given by position, in order."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):  # not written in Python
        return ()
    return tuple(p.name for p in parameters if p.kind in _POSITIONAL)


def as_positional(names: tuple[str, ...], args: Args, kwargs: Kwargs) -> Args:
    """All arguments that a name in ``names`` gives a position; None for one that is left out."""
    rest = names[len(args) :] if kwargs else ()
    given = [index for index, name in enumerate(rest) if name in kwargs]
    return (*args, *(kwargs.get(name) for name in rest[: given[-1] + 1 if given else 0]))


def input_key(names: tuple[str, ...], kwargs: Kwargs) -> str:
    """Of a call without positional arguments, the keyword of its input.

    Raises:
        ForwardError: It has none.
    """
    if names and names[0] in kwargs:
        return names[0]
    tensors = _tensors(kwargs)
    if not tensors:
        raise ForwardError(f"FDAM: a module was called without an input, with {list(kwargs)}")
    return tensors[0]


def change_input(
    child: nn.Module, args: Args, kwargs: dict[str, Any], change: Callable[[Tensor], Tensor]
) -> tuple[Args, dict[str, Any]]:
    """The arguments of ``child`` with ``change`` of its input in the place of the input."""
    if args:
        return (change(args[0]), *args[1:]), kwargs
    tensors = _tensors(kwargs)
    key = tensors[0] if len(tensors) == 1 else input_key(parameter_names(child), kwargs)
    return args, {**kwargs, key: change(kwargs[key])}


def _tensors(kwargs: Kwargs) -> list[str]:
    return [name for name, value in kwargs.items() if isinstance(value, Tensor)]
