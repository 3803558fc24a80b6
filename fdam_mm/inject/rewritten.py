"""A module's class with another forward, for attentions that do not call their children.

A class is a property of the object, so copies, pickles and replicas on other devices have it too,
and giving the old class back gives the old forward back.
"""

import functools
from collections.abc import Callable
from typing import Any

from torch import nn

from .adapter import AttentionAdapter


@functools.cache
def with_forward_of(adapter: type[AttentionAdapter], base: type[nn.Module]) -> type[nn.Module]:
    """The subclass of ``base``, by the same name, whose forward is that of ``adapter``."""

    def reduce(self: nn.Module, protocol: Any) -> tuple[Any, ...]:
        state = base.__reduce_ex__(self, protocol)[2:]
        return _new, (adapter, base), *state

    names = dict(__module__=base.__module__, __qualname__=base.__qualname__)
    members = dict(forward=_forward(adapter), __reduce_ex__=reduce, **names)
    subclass = type(base.__name__, (base,), members)
    return subclass


def _new(adapter: type[AttentionAdapter], base: type[nn.Module]) -> nn.Module:
    subclass: type[nn.Module] = with_forward_of(adapter, base)  # type: ignore[arg-type]
    return subclass.__new__(subclass)


def _forward(adapter: type[AttentionAdapter]) -> Callable[..., Any]:
    assert adapter.forward is not None
    return adapter.forward
