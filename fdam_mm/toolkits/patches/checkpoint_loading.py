"""The toolkits' ``init_cfg`` and runners read checkpoints as ours do, inside our runs and calls.

Seen in mmengine 0.10.12: it unpickles what it cannot read otherwise, which can run any code.
"""

import difflib
import functools
from collections.abc import Callable
from typing import Any

from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_torchvision_models

from fdam_mm.checkpoints import load
from fdam_mm.checkpoints.loading import pickle_choice
from fdam_mm.errors import CheckpointError, UnsafeCheckpointError

_FILES_AND_ADDRESSES = ("", "http://", "https://")
_TORCHVISION = ("torchvision://", "modelzoo://")

Reader = Callable[..., Any]  # of a name and a device


def read_checkpoints_of_runs_safely() -> None:
    """Within :func:`fdam_mm.checkpoints.loading.allowing_pickle`, read through our loader.

    That raises where mmengine would unpickle, see :func:`fdam_mm.checkpoints.load`. Sources that
    only mmengine can read need pickle to be allowed. Elsewhere mmengine is what it was.
    """
    for prefix, reader in list(CheckpointLoader._schemes.items()):
        CheckpointLoader.register_scheme(prefix, _reader(prefix, reader), force=True)


def _reader(prefix: str, theirs: Reader) -> Reader:
    @functools.wraps(theirs)  # mmengine logs the name
    def read(name: str, map_location: Any = None, **settings: Any) -> Any:
        allowed = pickle_choice()
        if allowed is None:
            return theirs(name, map_location, **settings)
        if prefix in _FILES_AND_ADDRESSES:
            return load(name)
        if prefix in _TORCHVISION:
            return load(_torchvision_address(name))
        if allowed:
            return theirs(name, map_location, **settings)
        raise UnsafeCheckpointError(
            f"{name} is read by mmengine, which unpickles it: that could run code of its own. "
            "Fetch the file and give its path, or allow it: --allow-pickle"
        )

    return read


def _torchvision_address(name: str) -> str:
    models = get_torchvision_models()
    model = name.partition("://")[2]
    if model not in models:
        near = difflib.get_close_matches(model, models, n=3) or sorted(models)[:3]
        raise CheckpointError(f"{name}: torchvision has no such model; near: {', '.join(near)}")
    return models[model]
