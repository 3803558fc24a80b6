"""Finding the weights in a checkpoint, and seeing that they are some, before they are used."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fdam_mm.errors import CheckpointError

from .log import log

# Where trainings keep weights. Of several the first is taken: what the training itself calls its
# model, then averages, then the rest.
WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema",
    "params_ema",
    "params",
    "net",
    "network",
    "model_state",
    "weights",
    "module",
    "teacher",
    "student",
)
_USUAL = ("state_dict", "model_state_dict", "model")
_HARMLESS = 1 << 30  # bytes that repeated values of a smaller tensor may become


def unwrap(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state dict inside a checkpoint, under the first of :data:`WRAPPERS` that it has.

    A first one without a dict is left in its place, for :func:`require_weights` to refuse: what
    stands under the others is not what the training calls its model.
    """
    tensors = {key for key, value in checkpoint.items() if isinstance(value, Tensor)}
    found = [key for key in WRAPPERS if key in checkpoint and key not in tensors]
    if not found:
        return checkpoint
    if not isinstance(checkpoint[found[0]], Mapping):
        return {found[0]: checkpoint[found[0]]}
    if found[0] not in _USUAL:
        others = f"; it has {', '.join(found[1:])} too" if found[1:] else ""
        log(f"the weights are taken from the checkpoint's {found[0]!r}{others}")
    inner = checkpoint[found[0]]
    nested = any(isinstance(inner.get(key), Mapping) for key in WRAPPERS)
    return unwrap(inner) if nested else inner


def require_weights(state: Any, origin: str) -> None:
    """See that ``state`` holds tensors under names, and nothing else.

    Raises:
        CheckpointError: It does not; names the key and what is there.
    """
    if not isinstance(state, Mapping) or not state:
        found = "nothing" if isinstance(state, Mapping) else f"a {type(state).__name__}"
        raise CheckpointError(
            f"{origin} does not fit the model: it holds {found} where the weights belong"
        )
    for key, value in state.items():
        if not isinstance(key, str):
            raise CheckpointError(
                f"{origin}: the name of a weight is {key!r}, a {type(key).__name__}; expected text"
            )
        problem = _problem(value)
        if problem:
            raise CheckpointError(
                f"{origin}: {key!r} is {problem}, expected a tensor; save the model's state_dict()"
            )


def without_module(state: Mapping[str, Tensor], origin: str) -> dict[str, Tensor]:
    """Take DistributedDataParallel's ``module.`` off the names.

    Raises:
        CheckpointError: Two names become one.
    """
    stripped: dict[str, Tensor] = {}
    for key, value in state.items():
        name = key.removeprefix("module.")
        if name in stripped:
            raise CheckpointError(
                f"{origin} has both {name!r} and 'module.{name}': two tensors for one"
            )
        stripped[name] = value
    return stripped


def _problem(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    if value.layout != torch.strided or value.is_quantized or value.is_meta:
        return "a sparse, quantized or empty tensor"
    claimed, stored = value.numel() * value.itemsize, value.untyped_storage().nbytes()
    if claimed > max(stored, _HARMLESS):
        return f"{stored} bytes that claim to be {claimed}"
    return ""
