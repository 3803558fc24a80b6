"""What a fine-tuning trained, apart from its base: a small file, and the base that it fits.

A delta is a safetensors file of FDAM's tensors and of the parts trained beside it. It knows each
tensor of its base by shape, norm and a projection, so that another base is refused by name; these
agree where a position embedding was resized on another machine, which rounds otherwise.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fdam_mm.errors import CheckpointError, CheckpointMismatchError
from fdam_mm.files import write_atomically
from fdam_mm.inject.parameters import fdam_state_dict, unwrapped
from fdam_mm.inject.selection import Patterns

from .finite import listing
from .fitting import warn_of_non_finite
from .loading import load
from .log import log
from .weights import require_weights

_KEY = "fdam_delta"  # of the file's metadata; its value is the version of this form
_VERSION = "1"
_TOLERANCE = 1e-5  # of the norm: rounding is 1e-7, one step of a training more

Fingerprint = list[Any]  # shape, norm, projection


@dataclass(frozen=True)
class Delta:
    """What a file of :func:`save_delta` holds.

    Attributes:
        origin: The file, for messages.
        state: What was trained, by the names of the whole model.
        base: The fingerprints of all other tensors of the model.
        dataset_meta: Classes and palette of the training, where it had some.
    """

    origin: str
    state: dict[str, Tensor]
    base: dict[str, Fingerprint]
    dataset_meta: dict[str, Any] = field(default_factory=dict)


def save_delta(
    model: nn.Module,
    file: str | Path,
    also: Patterns = None,
    dataset_meta: Mapping[str, Any] | None = None,
) -> None:
    """Write FDAM's tensors, those of the parts that ``also`` names, and what their base is.

    Args:
        model: With FDAM; the rest of it is as its base has it.
        file: ``NAME.safetensors``.
        also: As :func:`fdam_mm.freeze_except_fdam` got it.
        dataset_meta: ``classes`` and ``palette``, for :func:`fdam_mm.apis.load_model`.

    Raises:
        CheckpointError: The name of the file has another suffix.
        UsageError: The model has no FDAM, or a pattern matches nothing.
        WriteError: It cannot be written.
    """
    state = unwrapped(model).state_dict()
    write_delta(file, state, fdam_state_dict(model, also), dataset_meta or {})


def write_delta(
    file: str | Path,
    state: Mapping[str, Tensor],
    trained: Iterable[str],
    dataset_meta: Mapping[str, Any],
) -> None:
    """:func:`save_delta` of a state dict, with the names of what was trained in it."""
    from safetensors.torch import save

    _require_suffix(file)
    kept = set(trained)
    base = {key: fingerprint(value) for key, value in state.items() if key not in kept}
    known = {key: dataset_meta[key] for key in ("classes", "palette") if dataset_meta.get(key)}
    metadata = {_KEY: _VERSION, "base": json.dumps(base), "dataset_meta": json.dumps(known)}
    own = {key: state[key].detach().cpu().contiguous().clone() for key in state if key in kept}
    write_atomically(file, save(own, metadata))


def read_delta(file: str | Path) -> Delta:
    """Read a file of :func:`save_delta`; nothing in it is run.

    Raises:
        MissingFileError, CheckpointError: There is none, or it is damaged or no delta.
    """
    _require_suffix(file)
    state = load(file)
    warn_of_non_finite(state, str(file))
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        metadata = opened.metadata() or {}
    if metadata.get(_KEY) != _VERSION:
        found = f"of version {metadata[_KEY]}" if _KEY in metadata else "none"
        raise CheckpointError(
            f"{file} is no delta of version {_VERSION} ({found}); save_delta and trainings with "
            "fine_tuning write them"
        )
    require_weights(state, str(file))
    try:
        base, meta = (json.loads(metadata[key]) for key in ("base", "dataset_meta"))
        base = {key: [list(map(int, s)), float(n), float(p)] for key, (s, n, p) in base.items()}
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{file} is a damaged delta: what it says of its base cannot be read ({error})"
        ) from error
    return Delta(str(file), state, base, meta if isinstance(meta, dict) else {})


def load_delta(model: nn.Module, file: str | Path) -> None:
    """Put a delta into ``model``, which has the weights of its base.

    Args:
        model: With FDAM in the same places; changed only where all fits.
        file: Of :func:`save_delta`.

    Raises:
        MissingFileError, CheckpointError: There is no such file, or it is no delta.
        CheckpointMismatchError: Names, shapes or the base's values are others; lists which.
    """
    delta, model = read_delta(file), unwrapped(model)
    require_names(delta, model)
    require_base(delta, model.state_dict())
    model.load_state_dict(delta.state, strict=False)
    log(f"loaded {len(delta.state)} tensors of the delta {delta.origin}")


def require_names(delta: Delta, model: nn.Module) -> None:
    """See that a delta and its base are all of the model, in names and shapes.

    Raises:
        CheckpointMismatchError: They are not.
    """
    ours = {key: list(value.shape) for key, value in model.state_dict().items()}
    theirs = {key: list(value.shape) for key, value in delta.state.items()}
    theirs |= {key: shape for key, (shape, *_) in delta.base.items()}
    shapes = [
        f"{key} {theirs[key]}, the model's {ours[key]}"
        for key in ours
        if key in theirs and theirs[key] != ours[key]
    ]
    problems = {
        "in neither the delta nor its base": [key for key in ours if key not in theirs],
        "not in the model": [key for key in theirs if key not in ours],
        "of another shape": shapes,
    }
    lines = [f"{len(keys)} {what}: {listing(keys)}" for what, keys in problems.items() if keys]
    if lines:
        raise CheckpointMismatchError(
            f"the delta {delta.origin} is of another model than this {type(model).__name__} "
            "(other settings of FDAM, or no FDAM?)\n  " + "\n  ".join(lines)
        )


def require_base(delta: Delta, state: Mapping[str, Tensor]) -> None:
    """See that the tensors of a model that are not the delta's are those it was trained on.

    Raises:
        CheckpointMismatchError: They are not.
    """
    others = [key for key, wanted in delta.base.items() if not _same(wanted, state[key])]
    if others:
        raise CheckpointMismatchError(
            f"the delta {delta.origin} was trained on another base: {len(others)} of "
            f"{len(delta.base)} tensors have other values: {listing(others)}. Load the weights "
            "that the fine-tuning started from"
        )


def fingerprint(value: Tensor) -> Fingerprint:
    """Shape, norm, and the sum of the values times cos(1), cos(2), ...; infinities count as 1."""
    flat = value.detach().cpu().reshape(-1).double().nan_to_num(0.0, 1.0, -1.0)
    waves = torch.arange(1, flat.numel() + 1, dtype=torch.float64).cos_()
    return [list(value.shape), flat.norm().item(), (flat @ waves).item()]


def _same(wanted: Fingerprint, value: Tensor) -> bool:
    shape, norm, projection = fingerprint(value)
    room = _TOLERANCE * max(norm, wanted[1])
    return (
        shape == wanted[0]
        and abs(norm - wanted[1]) <= room
        and abs(projection - wanted[2]) <= room
    )


def _require_suffix(file: str | Path) -> None:
    if Path(file).suffix != ".safetensors":
        raise CheckpointError(f"{file}: a delta is a file *.safetensors")
