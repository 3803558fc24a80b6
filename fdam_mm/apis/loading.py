"""``load_model``: a trained model, ready to predict."""

from pathlib import Path
from typing import Any, Literal

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import nn

from fdam_mm.checkpoints import convert, load, load_state
from fdam_mm.checkpoints.delta import read_delta
from fdam_mm.errors import UsageError
from fdam_mm.toolkits.needed_operations import require_operations

from .building import build_model, metainfo
from .deltas import load_with_delta
from .sources import open_source

Precision = Literal["fp32", "fp16", "bf16"]
_DTYPES = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}


def load_model(
    config_or_work_dir: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    compile: bool = False,
    precision: Precision | None = None,
    *,
    delta: str | Path | None = None,
    options: dict[str, Any] | None = None,
    allow_pickle: bool = False,
) -> nn.Module:
    """Build a model of mmseg, mmdet or mmrotate, fill it from a checkpoint and make it ready.

    Args:
        config_or_work_dir: A config file, a loaded config, or the work folder of a training, which
            stands for the config in it and for its best, else its newest checkpoint (beside a
            ``delta`` for the config alone). The folder of a published model, or
            ``hf://USER/MODEL[@REVISION]``, which is fetched into the hub's cache: nothing of
            either is run.
        checkpoint: File or address; foreign layouts are converted, and it must fit. None takes the
            folder's; with a config alone the model stays untrained, and the log says so.
        device: Where the model runs; None takes the GPU if there is one.
        compile: Compile the backbone with ``torch.compile``; the first predictions are slow.
        precision: Of the forward: ``fp32`` (None), or ``fp16`` or ``bf16`` under autocast.
        delta: What a fine-tuning trained, ``delta.safetensors``; ``checkpoint`` is then the base
            it started from, None that of the config: its ``load_from``, else its ``init_cfg``.
        options: Settings that override the config's, ``{"model.backbone.with_cp": True}``.
        allow_pickle: Also read a checkpoint that needs unpickling, which can run any code.

    Returns:
        The toolkit's model in evaluation mode. As the toolkits' own functions expect,
        ``model.cfg`` is the config and ``model.dataset_meta`` has the classes and the palette.

    Raises:
        MissingFileError: A file or folder does not exist.
        ConfigError, UsageError: The config or an argument cannot be used.
        CheckpointError: The checkpoint or the delta is damaged, unsafe or does not fit.
        HubError: The hub cannot be reached, or has no such model.
        OperationError: The model needs an operation that mmcv was not compiled with.
    """
    if precision not in (None, *_DTYPES):
        raise UsageError(f"precision is {precision!r}, expected one of {', '.join(_DTYPES)}")
    where = usable_device(device)
    source = open_source(config_or_work_dir, checkpoint, options or {}, delta is None)
    config, checkpoint, known = source
    require_operations(config, where.type, "model")
    model: Any = build_model(config)
    model.dataset_meta = _lower(metainfo(config)) | known
    if delta is not None:
        found = read_delta(delta)
        load_with_delta(model, config, checkpoint, found, allow_pickle)
        model.dataset_meta |= _lower(found.dataset_meta)
    elif checkpoint is None:
        print_log("no checkpoint: the model is untrained", "current", 30)
    else:
        loaded = load(checkpoint, allow_pickle)
        state = convert(loaded, origin=str(checkpoint), keys=model.state_dict().keys())
        load_state(model, state, str(checkpoint), fit="exact")
        model.dataset_meta |= _stored_metainfo(loaded)
    model.cfg, model.precision = config, precision
    if compile:
        model.backbone.compile()
    return model.to(where).eval()


def autocast_of(model: nn.Module) -> torch.autocast:
    """The autocast that the model's ``precision`` asks for."""
    dtype = _DTYPES[getattr(model, "precision", None) or "fp32"]
    device = next(model.parameters()).device.type
    return torch.autocast(device, dtype, enabled=dtype is not None)


def usable_device(device: str | torch.device | None) -> torch.device:
    """The device of a name; of None the GPU if there is one.

    Raises:
        UsageError: There is no such device; names those that are there.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise UsageError(
            f"device is {str(device)!r}, which cannot be used ({reason}); there is "
            f"{' and '.join(there)}"
        ) from error
    return found


def _stored_metainfo(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Classes and palette as the training knew them; mmengine stores them with the weights."""
    meta = checkpoint.get("meta")
    stored = meta.get("dataset_meta") if isinstance(meta, dict) else None
    return _lower(stored) if isinstance(stored, dict) else {}


def _lower(meta: dict[str, Any]) -> dict[str, Any]:
    return {str(key).lower(): value for key, value in meta.items()}
