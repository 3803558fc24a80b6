"""Finding numbers that are none: nan and infinities in weights."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

_SHOWN = 4  # names in a message


def non_finite(state: Mapping[str, Any], meant: Collection[str] = ()) -> list[str]:
    """Names of the tensors that hold a nan or an infinity.

    Args:
        state: Tensors, also deeper in dicts and lists, as an optimizer's; else is passed over.
        meant: Names that may hold infinities, see :func:`meant_infinities`.
    """
    found = {}  # name -> whether it is bad; on the tensors' devices until all are asked
    for name, tensor in _tensors(state):
        wrong = torch.isnan(tensor) if name in meant else ~torch.isfinite(tensor)
        found[name] = wrong.any()
    flags = torch.stack([flag.cpu() for flag in found.values()]).tolist() if found else []
    return [name for name, flag in zip(found, flags, strict=True) if flag]


def meant_infinities(state: Mapping[str, Any]) -> frozenset[str]:
    """Names of the tensors that a model is built with infinities in, as a mask of attention."""
    return frozenset(non_finite(state)).difference(non_finite(state, meant=list(state)))


def listing(names: list[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The floating tensors in ``value`` under dotted names; those of one byte as float32.

    Of tensors that are shared out over processes (DTensor), this process's part.
    """
    if isinstance(value, Tensor):
        value = getattr(value, "to_local", lambda: value)()
        if value.is_floating_point() or value.is_complex():
            yield name, value.float() if value.itemsize == 1 else value
        return
    items: Iterable[tuple[Any, Any]]
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return
    for key, part in items:
        yield from _tensors(part, f"{name}.{key}" if name else str(key))
