"""Let the toolkits be imported where mmcv's compiled operations cannot be loaded.

Seen in mmdetection 3.5.1 and mmcv 2.3.6: mmdet imports operations whether a model needs them or
not, mmseg goes without them only where their library is absent, not where it is broken, and
``mmcv.ops`` imports all or none. What a config needs is told before a run, by
:mod:`fdam_mm.toolkits.needed_operations`.
"""

import functools
import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from fdam_mm.errors import OperationError

LIBRARY = "mmcv._ext"
_CALLED = (
    "mmcv's operation {name} is called, and {reason}; `make install` compiles them (docs/gpu.md)"
)


@functools.cache
def stand_in_for_absent_operations() -> None:
    """Where mmcv is there without them, put in their place what raises when it is called."""
    try:
        importlib.import_module(LIBRARY)
    except ImportError as error:
        if error.name != "mmcv":
            sys.modules[LIBRARY] = StandIn(_reason(error))


def why_absent() -> str:
    """Why mmcv's operations cannot be loaded; "" where they are there."""
    stand_in_for_absent_operations()
    library = sys.modules.get(LIBRARY)
    return library.reason if isinstance(library, StandIn) else ""


class StandIn(ModuleType):
    """Has every operation of mmcv; each raises an :class:`OperationError` when it is called."""

    def __init__(self, reason: str) -> None:
        super().__init__(LIBRARY)
        self.reason = reason
        self.__spec__ = ModuleSpec(LIBRARY, None)  # without a file, for those who look

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def operation(*args: Any, **kwargs: Any) -> None:
            raise OperationError(_CALLED.format(name=name, reason=self.reason))

        return operation


def _reason(error: ImportError) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == LIBRARY:
        return "mmcv is installed without its compiled operations"
    return f"mmcv's compiled operations cannot be loaded ({str(error).splitlines()[0]})"
