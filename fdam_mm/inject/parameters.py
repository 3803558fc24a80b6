"""What FDAM adds to a model, apart from the rest: to train, to save and to load.

These serve models of :func:`apply_fdam` and those that were built with FDAM alike. A model inside
``DataParallel``, ``DistributedDataParallel`` or ``torch.compile`` has the names that it has alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

from fdam_mm.errors import CheckpointMismatchError, UsageError

from .placed import Placed, placed_layers
from .report import some
from .selection import Patterns
from .statistics import hold_statistics
from .trained import matching_parts, within


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


def freeze_except_fdam(model: nn.Module, also: Patterns = None) -> FreezeCounts:
    """Train FDAM alone: ``requires_grad`` is True for its parameters, False for all others.

    Frozen batch norms compute with their running statistics and keep them, also in training mode,
    so that nothing but what is trained changes. All other modes stay: dropout drops.

    Args:
        also: Patterns of the names of modules and parameters to train beside FDAM, as the shell
            writes them: ``"decode_head"``, ``["head.*", "*.pos_embed"]``. A head for other classes
            belongs here. Batch norms in these modules follow their inputs.

    Returns:
        How many parameters are trained and how many frozen.

    Raises:
        UsageError: The model has no FDAM, or a pattern matches nothing.
    """
    inner = unwrapped(model)
    names = _trained_names(inner, also)
    trained = _parameters(inner, names)
    for parameter in model.parameters():
        parameter.requires_grad_(parameter in trained)
    hold_statistics(inner, lambda name: within(name, names))
    frozen = [p for p in model.parameters() if p not in trained]
    return FreezeCounts(sum(p.numel() for p in trained), sum(p.numel() for p in frozen))


def fdam_state_dict(model: nn.Module, also: Patterns = None) -> dict[str, Any]:
    """The part of ``model.state_dict()`` that is FDAM's, under the same keys.

    Args:
        also: Patterns of what belongs to it beside, see :func:`freeze_except_fdam`.

    Raises:
        UsageError: The model has no FDAM, or a pattern matches nothing.
    """
    model = unwrapped(model)
    names = _trained_names(model, also)
    trained = _parameters(model, names)
    tied = [n for n, p in model.named_parameters(remove_duplicate=False) if p in trained]
    return {k: v for k, v in model.state_dict().items() if k in tied or within(k, names)}


def load_fdam_state_dict(
    model: nn.Module, state: Mapping[str, Any], also: Patterns = None
) -> None:
    """Load what :func:`fdam_state_dict` gave; all else in ``model`` stays.

    Args:
        model: With FDAM in the same places and of the same settings.
        state: Exactly the keys of ``fdam_state_dict(model, also)``.
        also: Patterns of what belongs to it beside, see :func:`freeze_except_fdam`.

    Raises:
        CheckpointMismatchError: Keys or shapes differ; nothing was loaded.
        UsageError: The model has no FDAM, a pattern matches nothing, or ``state`` is no state
            dict.
    """
    if not isinstance(state, Mapping):
        raise UsageError(
            f"load_fdam_state_dict takes a state dict, got {type(state).__name__}; "
            "read a file with torch.load(file, weights_only=True) first"
        )
    _require_fit(model, state, fdam_state_dict(model, also))
    unwrapped(model).load_state_dict(state, strict=False)


def _require_fit(model: nn.Module, state: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
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
    model = unwrapped(model)
    layers = [placed for placed in placed_layers(model) if placed.layer.state_dict()]
    if not layers:
        raise UsageError(f"{type(model).__name__} has no FDAM: apply_fdam puts it in")
    return layers


def _trained_names(model: nn.Module, also: Patterns) -> list[str]:
    """Names of FDAM's layers, and of the modules and parameters that ``also`` matches."""
    return [placed.name for placed in _layers(model)] + matching_parts(model, also)


def _parameters(model: nn.Module, names: Sequence[str]) -> set[nn.Parameter]:
    named = model.named_parameters(remove_duplicate=False)
    return {parameter for name, parameter in named if within(name, names)}


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile``."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):  # torch.compile
            model = inner
        else:
            return model


def _shape(value: Any) -> Any:
    """Of a tensor; a value of another kind is taken as it is."""
    return tuple(value.shape) if hasattr(value, "shape") else type(value).__name__
