"""Reading checkpoint files without running anything they hold."""

import argparse
import pickle
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray

from fdam_mm.errors import CheckpointError, MissingFileError, UnsafeCheckpointError

from .archives import require_plain_records
from .fetching import local_file

# What torch and zipfile raise for bytes that are no checkpoint.
_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)
_choice: ContextVar[bool | None] = ContextVar("allow_pickle", default=None)


@contextmanager
def allowing_pickle(allow: bool) -> Iterator[None]:
    """Within, all that is read may be unpickled or not, by whoever reads: of one run or call.

    It holds for this thread alone, and the toolkits' ``init_cfg`` and runners keep to it too.
    """
    token = _choice.set(allow)
    try:
        yield
    finally:
        _choice.reset(token)


def pickle_choice() -> bool | None:
    """Whether the run or call that we are in may unpickle; None outside of all."""
    return _choice.get()


def load(path: str | Path, allow_pickle: bool = False) -> dict[str, Any]:
    """Read a checkpoint onto the CPU, as it was saved.

    Args:
        path: A file of ``torch.save`` or a ``.safetensors`` file; ``http(s)://`` addresses are
            fetched into torch's hub cache.
        allow_pickle: Also read files that need unpickling, which can run any code: for files from
            people you trust only. :func:`allowing_pickle` allows it to all of a run.

    Returns:
        The saved dict: a state dict, or one that holds it (``state_dict``, ``model``, ...) beside
        ``meta`` and the like. :func:`fdam_mm.checkpoints.convert` takes either.

    Raises:
        MissingFileError: No such file.
        UnsafeCheckpointError: The file needs unpickling and ``allow_pickle`` is False.
        CheckpointError: It is a folder, or the file is truncated, damaged or no checkpoint, or
            cannot be fetched.
    """
    file = local_file(str(path))
    if not file.is_file():
        held = _held(file if file.is_dir() else file.parent)
        if file.is_dir():
            raise CheckpointError(f"checkpoint {path} is a folder, expected a file{held}")
        raise MissingFileError(f"checkpoint {path} does not exist{held}")
    checkpoint = _read(file, allow_pickle or bool(pickle_choice()))
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f"{path} holds a {type(checkpoint).__name__}, expected a dict of tensors; "
            "save the model's state_dict()"
        )
    return checkpoint


def _held(folder: Path) -> str:
    found = sorted(p.name for p in folder.glob("*.pth"))  # none in a folder that is not there
    return f"; {folder} holds {', '.join(found[:8])}" if found else ""


def _read(file: Path, allow_pickle: bool) -> Any:
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(file)
        except SafetensorError as error:
            raise CheckpointError(_damaged(file, str(error))) from error
    try:
        require_plain_records(file)
        with torch.serialization.safe_globals(_training_state_globals()):
            return torch.load(file, map_location="cpu", weights_only=not allow_pickle)
    except pickle.UnpicklingError as error:
        unsafe = re.search(r"GLOBAL ([\w.]+)", str(error))
        if unsafe is None and not zipfile.is_zipfile(file):
            raise CheckpointError(_damaged(file, "torch.save wrote no such file")) from error
        what = f" ({unsafe[1]})" if unsafe else ""
        raise UnsafeCheckpointError(
            f"{file} holds more than tensors and plain values{what}; reading it could run code of "
            "its own. If you trust its source, allow it: --allow-pickle (tools), "
            "allow_pickle=True (Python, init_cfg)"
        ) from error
    except CheckpointError:
        raise
    except _UNREADABLE as error:
        raise CheckpointError(_damaged(file, str(error))) from error


def _damaged(file: Path, reason: str) -> str:
    reason = reason.strip().partition("\n")[0].rstrip(".") or "it ends too early"
    return (
        f"{file} ({file.stat().st_size} bytes) is not a complete checkpoint: {reason}. "
        "It is truncated or something else; copy or download it again"
    )


def _training_state_globals() -> list[Any]:
    """The plain containers that checkpoints of mmengine and of timm hold beside tensors."""
    numbers = [np.dtype(kind) for kind in ("float64", "float32", "int64", "int32", "bool")]
    return [
        argparse.Namespace,  # the arguments of timm's training script
        *_histories(),
        np.ndarray,
        np.dtype,
        *(type(number) for number in numbers),
        # numpy's constructors, under the names of numpy 2 and of numpy 1
        multiarray._reconstruct,
        (multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),
        multiarray.scalar,
        (multiarray.scalar, "numpy.core.multiarray.scalar"),
    ]


def _histories() -> list[Any]:
    """mmengine's buffer of a logged scalar, where mmengine is installed."""
    if find_spec("mmengine") is None:
        return []
    from mmengine.logging import HistoryBuffer

    return [HistoryBuffer, (_history_statistic, "builtins.getattr")]


def _history_statistic(owner: Any, name: str) -> Any:
    """Stands in for the ``getattr`` with which a pickled HistoryBuffer names its statistics."""
    from mmengine.logging import HistoryBuffer

    if owner is HistoryBuffer and name in ("min", "max", "mean", "current"):
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f"Unsupported GLOBAL getattr({owner!r}, {name!r})")
