"""Renaming keys by whole components (``blocks.0.attn``), wherever in the key they stand."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from fdam_mm.errors import CheckpointError

Replacement = Callable[[re.Match[str]], str]
Pattern = tuple[str, str | Replacement]  # what re.sub takes
_STAGE = re.compile(r"^(backbone\.)?(patch_embed|block|norm)([1-9])\.")


def rename(state: Mapping[str, Tensor], components: Mapping[str, str]) -> dict[str, Tensor]:
    """Replace runs of components, e.g. ``{"attn.attn": "attn"}``, every rule once and in order."""
    return {_rename_key(key, components): value for key, value in state.items()}


def _rename_key(key: str, components: Mapping[str, str]) -> str:
    dotted = f".{key}."
    for old, new in components.items():
        dotted = dotted.replace(f".{old}.", f".{new}.", 1)
    return dotted.strip(".")


def rename_by_patterns(
    state: Mapping[str, Tensor], patterns: Sequence[Pattern]
) -> dict[str, Tensor]:
    """Rename by regular expressions and what ``re.sub`` puts in their place, each once and in
    order, on what follows ``backbone.``."""
    renamed = {}
    for key, value in state.items():
        name = key.removeprefix("backbone.")
        prefix = key.removesuffix(name)
        for pattern, replacement in patterns:
            name = re.sub(pattern, replacement, name, count=1)
        renamed[prefix + name] = value
    return renamed


def next_stage(rest: str) -> Replacement:
    """For a pattern whose first group is a stage: ``stages.{the next one}.{rest}``."""
    return lambda match: f"stages.{int(match[1]) + 1}.{rest}"


def join_queries(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``attn.q`` and ``attn.kv`` of one attention -> ``attn.qkv``.

    Raises:
        CheckpointError: One of the two is missing.
    """
    joined = dict(state)
    for key in (key for key in state if ".attn.kv." in key):
        parts = [key.replace(".attn.kv.", ".attn.q."), key]
        if not all(part in joined for part in parts):
            raise CheckpointError(f"{parts[0]} and {parts[1]} make one tensor, one is missing")
        tensors = [joined.pop(part) for part in parts]
        joined[key.replace(".attn.kv.", ".attn.qkv.")] = torch.cat(tensors)
    return joined


def has_component(state: Mapping[str, Tensor], names: Iterable[str]) -> bool:
    """Whether some key has one of the runs of components ``names``."""
    dotted = [f".{name}." for name in names]
    return any(name in f".{key}." for key in state for name in dotted)


def drop_prefixes(state: Mapping[str, Tensor], prefixes: Iterable[str]) -> dict[str, Tensor]:
    """Leave out the keys that start with one of ``prefixes``."""
    return {k: v for k, v in state.items() if not k.startswith(tuple(prefixes))}


def rename_stage(key: str, stages: str, parts: Mapping[str, str]) -> str | None:
    """``block3.0.norm1.weight`` -> ``{stages}.2.{parts["block"]}.0.norm1.weight``.

    The originals of PVT's family (SegFormer, LSKNet) write the stage, from 1, behind the part:
    ``patch_embed``, ``block`` or ``norm``. None for any other key.
    """
    if not (found := _STAGE.match(key)):
        return None
    prefix, part, stage = found.groups(default="")
    return f"{prefix}{stages}.{int(stage) - 1}.{parts[part]}.{key[found.end() :]}"
