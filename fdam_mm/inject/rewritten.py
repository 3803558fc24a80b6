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
    assert adapter.forward is not None
    return subclass(base, adapter.forward, with_forward_of, (adapter, base))


def subclass(
    base: type[nn.Module], forward: Callable[..., Any], make: Callable, args: tuple[Any, ...]
) -> type[nn.Module]:
    """A subclass of ``base`` with this forward; ``make(*args)`` finds it again, for pickles."""

    def reduce(self: nn.Module, protocol: Any) -> tuple[Any, ...]:
        state = base.__reduce_ex__(self, protocol)[2:]
        return _new, (make, args), *state

    names = dict(__module__=base.__module__, __qualname__=base.__qualname__)
    return type(base.__name__, (base,), dict(forward=forward, __reduce_ex__=reduce, **names))


def _new(make: Callable[..., type[nn.Module]], args: tuple[Any, ...]) -> nn.Module:
    kind = make(*args)
    return kind.__new__(kind)
