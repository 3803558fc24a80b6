"""What in a model may get FDAM, by name: attentions, blocks, and attentions that nobody knows."""

import re
from collections.abc import Mapping, Sequence

from torch import nn

from .adapter import Adapter, AttentionAdapter, NoAttInv

_ATTENTION = re.compile(r"Attention|Attn")


def unknown_attentions(
    modules: Mapping[str, nn.Module], adapters: Mapping[str, Adapter]
) -> list[str]:
    """What looks like an attention and is none with an adapter, nor in one or around one."""
    known = {name for name, adapter in adapters.items() if is_attention(adapter)}
    around = {parent for name in known for parent in parent_names(name)}
    return [
        name
        for name, module in modules.items()
        if name not in adapters
        and name not in around
        and known.isdisjoint(parent_names(name))
        and _looks_like_attention(module)
    ]


def without_closed(adapters: Mapping[str, Adapter]) -> dict[str, Adapter]:
    """``adapters`` less what is within a module that takes no FDAM by its nature."""
    closed = {name for name, adapter in adapters.items() if issubclass(adapter, NoAttInv)}
    return {n: adapter for n, adapter in adapters.items() if closed.isdisjoint(parent_names(n))}


def with_blocks_around(
    names: Sequence[str], adapters: Mapping[str, Adapter]
) -> dict[str, Sequence[str]]:
    """``names``, each with those of the blocks around it."""
    return {name: blocks_around(name, adapters) for name in names}


def blocks_around(name: str, adapters: Mapping[str, Adapter]) -> list[str]:
    parents = [parent for parent in parent_names(name) if parent in adapters]
    return [parent for parent in parents if not is_attention(adapters[parent])]


def is_attention(adapter: Adapter) -> bool:
    return issubclass(adapter, AttentionAdapter)


def _looks_like_attention(module: nn.Module) -> bool:
    has_parameters = next(module.parameters(), None) is not None
    return has_parameters and _ATTENTION.search(type(module).__name__) is not None


def parent_names(name: str) -> list[str]:
    """Names of the modules around ``name``, outermost first; the model's own is empty."""
    if not name:
        return []
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(len(parts))]
