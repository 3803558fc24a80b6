"""What torch.compile is told, without importing its compiler, which takes seconds, at import."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Result = TypeVar("_Result")


def constant_when_compiled(function: _Function) -> _Function:
    """As ``torch.compiler.assume_constant_result``: what it returns goes into the graph."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def in_no_mode(build: Callable[[], _Result]) -> _Result:
    """What ``build`` returns, as ordinary tensors whatever the caller runs in: for what is kept.

    Tracing, exporting, fake tensors, function transforms, inference mode, autocast and default
    devices are all states of a thread, so it runs in a thread of its own.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(build).result()


def never_compiled(function: _Function) -> _Function:
    """As ``torch.compiler.disable``: the compiler calls it and does not look inside."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return torch.compiler.disable(function)(*args, **kwargs)
        return function(*args, **kwargs)

    return called  # type: ignore[return-value]
