"""What FDAM adds to a model, apart from the rest: to train, to save and to load.

These serve models of :func:`apply_fdam` and those that were built with FDAM alike. A model inside
``DataParallel``, ``DistributedDataParallel`` or ``torch.compile`` has the names that it has alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import nn

from fdam_mm.errors import CheckpointMismatchError, UsageError

from .placed import Placed, placed_layers
from .report import some


class FreezeCounts(NamedTuple):
    """Numbers of parameters, as single values."""

    trained: int
    frozen: int


def fdam_parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """FDAM's parameters, each once, as ``model.parameters()`` gives all: for an optimiser.

    Their names are those of :func:`fdam_state_dict`.

    Raises:
        UsageError: The model has no FDAM.
    """
    return nn.ModuleList(placed.layer for placed in _layers(model)).parameters()


def freeze_except_fdam(model: nn.Module) -> FreezeCounts:
    """Train FDAM alone: ``requires_grad`` is True for its parameters, False for all others.

    Modes stay as they are: in training mode dropout drops and batch norms still follow their
    inputs; call ``eval()`` of parts where they should not.

    Returns:
        How many parameters are trained and how many frozen.

    Raises:
        UsageError: The model has no FDAM.
    """
    trained = set(fdam_parameters(model))
    frozen = [p for p in model.parameters() if p not in trained]
    for parameter in frozen:
        parameter.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    return FreezeCounts(sum(p.numel() for p in trained), sum(p.numel() for p in frozen))


def fdam_state_dict(model: nn.Module) -> dict[str, Any]:
    """The part of ``model.state_dict()`` that is FDAM's, under the same keys.

    Raises:
        UsageError: The model has no FDAM.
    """
    names = [placed.name for placed in _layers(model)]
    state = _unwrapped(model).state_dict()
    return {k: v for k, v in state.items() if any(_within(k, name) for name in names)}


def load_fdam_state_dict(model: nn.Module, state: Mapping[str, Any]) -> None:
    """Load what :func:`fdam_state_dict` gave; all else in ``model`` stays.

    Args:
        model: With FDAM in the same places and of the same settings.
        state: Exactly the keys of ``fdam_state_dict(model)``.

    Raises:
        CheckpointMismatchError: Keys or shapes differ; nothing was loaded.
        UsageError: The model has no FDAM, or ``state`` is no state dict.
    """
    if not isinstance(state, Mapping):
        raise UsageError(
            f"load_fdam_state_dict takes a state dict, got {type(state).__name__}; "
            "read a file with torch.load(file, weights_only=True) first"
        )
    _require_fit(model, state)
    for name, layer, _ in _layers(model):
        layer.load_state_dict({_inner(k, name): v for k, v in state.items() if _within(k, name)})


def _require_fit(model: nn.Module, state: Mapping[str, Any]) -> None:
    expected = fdam_state_dict(model)
    shapes = [
        f"{key}: {_shape(state[key])}, the model has {_shape(value)}"
        for key, value in expected.items()
        if key in state and _shape(state[key]) != _shape(value)
    ]
    differences = {
        "missing": [key for key in expected if key not in state],
        "unexpected": [key for key in state if key not in expected],
        "of another shape": shapes,
    }
    lines = [f"{len(keys)} {what}: {some(keys)}" for what, keys in differences.items() if keys]
    if lines:
        raise CheckpointMismatchError(
            f"this state does not fit the FDAM of {type(model).__name__}; nothing was loaded\n  "
            + "\n  ".join(lines)
        )


def _layers(model: nn.Module) -> list[Placed]:
    """Those with anything to learn."""
    model = _unwrapped(model)
    layers = [placed for placed in placed_layers(model) if placed.layer.state_dict()]
    if not layers:
        raise UsageError(f"{type(model).__name__} has no FDAM: apply_fdam puts it in")
    return layers


def _unwrapped(model: nn.Module) -> nn.Module:
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):  # torch.compile
            model = inner
        else:
            return model


def _within(key: str, name: str) -> bool:
    return not name or key.startswith(f"{name}.")


def _inner(key: str, name: str) -> str:
    return key[len(name) + 1 :] if name else key


def _shape(value: Any) -> Any:
    """Of a tensor; a value of another kind is taken as it is."""
    return tuple(value.shape) if hasattr(value, "shape") else type(value).__name__
