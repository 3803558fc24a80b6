"""What torch.compile is told, without importing its compiler, which takes seconds, at import."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch

_Function = TypeVar("_Function", bound=Callable[..., Any])


def constant_when_compiled(function: _Function) -> _Function:
    """As ``torch.compiler.assume_constant_result``: what it returns goes into the graph."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def never_compiled(function: _Function) -> _Function:
    """As ``torch.compiler.disable``: the compiler calls it and does not look inside."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return torch.compiler.disable(function)(*args, **kwargs)
        return function(*args, **kwargs)

    return called  # type: ignore[return-value]
