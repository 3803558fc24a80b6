"""Renaming foreign checkpoints to our keys."""

from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from torch import Tensor

from .sources import SOURCES

WRAPPERS = ("state_dict", "model_state_dict", "model", "state_dict_ema")


def convert(checkpoint: Mapping[str, Any], source: str | None = None) -> dict[str, Tensor]:
    """Rename the tensors of a checkpoint to the keys of this package.

    Args:
        checkpoint: A state dict, whole or a part of one, or a checkpoint that holds it under
            ``state_dict`` or ``model``.
        source: Layout of the keys, one of :data:`fdam_mm.checkpoints.SOURCES`; None detects it
            from the keys. A part of a model may hold too few keys to tell: name it then.

    Returns:
        A new dict with our keys and the same tensors. A layout that is not recognised, our own
        among them, comes back as it is.

    Raises:
        ValueError: ``source`` does not exist.
    """
    if source is not None and source not in SOURCES:
        raise ValueError(f"source {source!r} does not exist; choose one of {sorted(SOURCES)}")
    state = {k.removeprefix("module."): v for k, v in unwrap(checkpoint).items()}
    name = source or detect(state)
    if name is None:
        return state
    converted = SOURCES[name].convert(state)
    if converted.keys() != state.keys():
        print_log(f"converted the checkpoint's keys from the layout {name!r}", logger="current")
    return converted


def detect(state: Mapping[str, Tensor]) -> str | None:
    """Name of the foreign layout that ``state`` has, None where it is our own or unknown."""
    if any("timm_model." in key for key in state):  # ours, though it has timm's names inside
        return None
    return next((name for name, source in SOURCES.items() if source.matches(state)), None)


def unwrap(checkpoint: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """The state dict inside a checkpoint."""
    for key in WRAPPERS:
        if isinstance(checkpoint.get(key), Mapping):
            return checkpoint[key]
    return checkpoint
