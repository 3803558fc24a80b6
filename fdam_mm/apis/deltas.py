"""Models that are a base and a delta: loading them, and merging both into one checkpoint."""

import io
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from fdam_mm.checkpoints import convert, load, load_state
from fdam_mm.checkpoints.delta import Delta, require_base, require_names
from fdam_mm.checkpoints.finite import listing
from fdam_mm.checkpoints.loading import allowing_pickle
from fdam_mm.checkpoints.saving import safetensors_of
from fdam_mm.errors import CheckpointMismatchError
from fdam_mm.files import require_writable, write_atomically
from fdam_mm.toolkits.scope import scope_of, toolkit_scope


def load_with_delta(
    model: Any, config: Config, base: str | Path | None, delta: Delta, allow_pickle: bool
) -> None:
    """Fill ``model`` from the file ``base`` and ``delta``.

    Args:
        base: None is the config's ``load_from``, else what its ``init_cfg`` reads.

    Raises:
        MissingFileError, CheckpointError: The base cannot be read.
        CheckpointMismatchError: It is not the one that the delta was trained on, or the model is
            another.
    """
    require_names(delta, model)
    base = base or config.get("load_from")
    if base is None:
        with allowing_pickle(allow_pickle), toolkit_scope(scope_of(config)):
            model.init_weights()
        load_state(model, {**model.state_dict(), **delta.state}, delta.origin, fit="exact")
    else:
        state = _of_the_base(model, base, delta, allow_pickle) | delta.state
        load_state(model, state, f"{base} with {delta.origin}", fit="exact")
    require_base(delta, model.state_dict())


def _of_the_base(
    model: nn.Module, file: str | Path, delta: Delta, allow_pickle: bool
) -> dict[str, Tensor]:
    """What the delta leaves to its base; a head that it replaces may be of other classes."""
    loaded = load(file, allow_pickle)
    state = convert(loaded, origin=str(file), keys=model.state_dict().keys())
    lacking = [key for key in delta.base if key not in state]
    if lacking:
        raise CheckpointMismatchError(
            f"{file} is not the base of the delta {delta.origin}: it lacks {len(lacking)} of "
            f"{len(delta.base)} tensors: {listing(lacking)}"
        )
    return {key: state[key] for key in delta.base}


def merge_delta(
    config: str | Path | Config,
    delta: str | Path,
    out: str | Path,
    base: str | Path | None = None,
    *,
    options: dict[str, Any] | None = None,
    allow_pickle: bool = False,
) -> None:
    """Write a base and its delta as one checkpoint, which every tool reads.

    Args:
        config: Of the fine-tuning: a file, a loaded config, or the work folder.
        delta: ``delta.safetensors``.
        out: ``.safetensors``, or a ``.pth`` that knows the classes too.
        base: The checkpoint that the fine-tuning started from, see :func:`load_model`.
        options: Settings that override the config's.
        allow_pickle: See :func:`load_model`.

    Raises:
        FDAMError: As :func:`load_model`; or ``out`` cannot be written.
    """
    from .loading import load_model

    require_writable(out)
    model: Any = load_model(
        config, base, "cpu", delta=delta, options=options, allow_pickle=allow_pickle
    )
    if Path(out).suffix == ".safetensors":
        write_atomically(out, safetensors_of(model))
        return
    state = {key: value.contiguous().clone() for key, value in model.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(dict(state_dict=state, meta=dict(dataset_meta=model.dataset_meta)), buffer)
    write_atomically(out, buffer.getvalue())
