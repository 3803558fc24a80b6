"""Renaming foreign checkpoints to our keys."""

import functools
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from .log import log
from .prefixes import without_prefix
from .sources import SOURCES
from .weights import require_weights, unwrap, without_module


def convert(
    checkpoint: Mapping[str, Any],
    source: str | None = None,
    origin: str = "the checkpoint",
    keys: Collection[str] | None = None,
) -> dict[str, Tensor]:
    """Rename the tensors of a checkpoint to the keys of this package.

    Args:
        checkpoint: A state dict, whole or a part of one, or a checkpoint that holds it under one
            of :data:`fdam_mm.checkpoints.weights.WRAPPERS`.
        source: Layout of the keys, one of :data:`fdam_mm.checkpoints.SOURCES`; None detects it
            from the keys. A part of a model may hold too few keys to tell: name it then.
        origin: Where it comes from, for messages.
        keys: Names of the model's tensors: a prefix that hides them is taken off.

    Returns:
        A new dict with our keys and the same tensors. A layout that is not recognised, our own
        among them, comes back as it is.

    Raises:
        ValueError: ``source`` does not exist.
        CheckpointError: There is something else than tensors under names.
    """
    if source is not None and source not in SOURCES:
        raise ValueError(f"source {source!r} does not exist; choose one of {sorted(SOURCES)}")
    state = unwrap(checkpoint)
    require_weights(state, origin)
    state = without_module(state, origin)
    if keys is not None:
        state = without_prefix(state, keys, functools.partial(_renamed, source=source))
    converted = _renamed(state, source)
    if keys is not None:  # a layout of whole models, of which this is the backbone
        converted = without_prefix(converted, keys, dict)
    if converted.keys() != state.keys():
        name = source or detect(state)
        log(f"converted the checkpoint's keys from the layout {name!r}")
    return converted


def _renamed(state: Mapping[str, Tensor], source: str | None) -> dict[str, Tensor]:
    name = source or detect(state)
    return dict(state) if name is None else SOURCES[name].convert(state)


def detect(state: Mapping[str, Tensor]) -> str | None:
    """Name of the foreign layout that ``state`` has, None where it is our own or unknown."""
    if any("timm_model." in key for key in state):  # ours, though it has timm's names inside
        return None
    return next((name for name, source in SOURCES.items() if source.matches(state)), None)
