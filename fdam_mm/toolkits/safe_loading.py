"""Decide for a whole process whether checkpoints may be unpickled, by mmengine and by us."""

import difflib
from typing import Any

from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_torchvision_models

from fdam_mm.checkpoints import load
from fdam_mm.checkpoints.loading import allow_pickle_in_process
from fdam_mm.errors import CheckpointError, UnsafeCheckpointError

_FILES_AND_ADDRESSES = ["", "http://", "https://"]
_TORCHVISION = ["torchvision://", "modelzoo://"]
_OTHERS = [
    "open-mmlab://",
    "openmmlab://",
    "mmcls://",
    "pavi://",
    r"(\S+\:)?s3://",
    r"(\S+\:)?petrel://",
]


def load_toolkit_checkpoints_safely(allow_pickle: bool = False) -> None:
    """Let the toolkits' ``init_cfg`` and runners read everything through our loader.

    mmengine unpickles what it cannot read otherwise; this raises instead, see
    :func:`fdam_mm.checkpoints.load`. It holds for the whole process, our own backbones included:
    for the tools, which own it. Sources that only mmengine can read need ``allow_pickle``.
    """
    allow_pickle_in_process(allow_pickle)

    def read(name: str, map_location: Any = None) -> dict[str, Any]:
        return load(name)

    def read_torchvision(name: str, map_location: Any = None) -> dict[str, Any]:
        return load(_torchvision_address(name))

    CheckpointLoader.register_scheme(_FILES_AND_ADDRESSES, loader=read, force=True)
    CheckpointLoader.register_scheme(_TORCHVISION, loader=read_torchvision, force=True)
    if not allow_pickle:
        CheckpointLoader.register_scheme(_OTHERS, loader=_refuse, force=True)


def _torchvision_address(name: str) -> str:
    models = get_torchvision_models()
    model = name.partition("://")[2]
    if model not in models:
        near = difflib.get_close_matches(model, models, n=3) or sorted(models)[:3]
        raise CheckpointError(f"{name}: torchvision has no such model; near: {', '.join(near)}")
    return models[model]


def _refuse(name: str, map_location: Any = None) -> dict[str, Any]:
    raise UnsafeCheckpointError(
        f"{name} is read by mmengine, which unpickles it: that could run code of its own. Fetch "
        "the file and give its path, or allow it: --allow-pickle"
    )
