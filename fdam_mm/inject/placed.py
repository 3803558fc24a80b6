"""Where FDAM is in a model: the layers that ``apply_fdam`` put in, and those of our own models."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import nn

from fdam_mm.layers import AttInv, FreqScale

from .hooks import AttInvHooks, FreqScaleHooks

Owner = AttInvHooks | FreqScaleHooks

_ENTER = (AttInvHooks.enter, FreqScaleHooks.enter)


def owners(module: nn.Module) -> list[Owner]:
    """The hooks of ``apply_fdam`` whose layers are children of this attention or block."""
    hooks: list[Any] = list(module._forward_pre_hooks.values())
    return [hook.__self__ for hook in hooks if getattr(hook, "__func__", None) in _ENTER]


class Placed(NamedTuple):
    """One of FDAM's layers in a model."""

    name: str
    layer: nn.Module
    applied: bool  # by apply_fdam; else the model was built with it


def placed_layers(model: nn.Module) -> list[Placed]:
    """FDAM's layers; one that two modules share is there under both names.

    What stands in the place of a layer that ``apply_fdam`` put in, as a wrapper around it, counts
    as the layer.
    """
    return list(_search("", model))


def _search(name: str, module: nn.Module) -> Iterator[Placed]:
    if isinstance(module, AttInv | FreqScale):
        yield Placed(name, module, applied=False)
        return
    own = {layer for owner in owners(module) for layer in owner.names}
    for child_name, child in module._modules.items():
        full = f"{name}.{child_name}" if name else child_name
        if child_name in own and child is not None:
            yield Placed(full, child, applied=True)
        elif child is not None:
            yield from _search(full, child)
