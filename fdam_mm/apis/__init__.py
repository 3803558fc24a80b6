"""Load a model, predict with it, train one: what every tool and notebook calls.

from fdam_mm.apis import load_model, predict, train

model = load_model("work_dirs/nuts")
for result in predict(model, "photos/", tile=1024):
    result.save("result/")
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fdam_mm.publishing.hub import push_to_hub
    from fdam_mm.publishing.writing import publish

    from .deltas import merge_delta
    from .loading import load_model
    from .predicting import predict
    from .results import InstanceResult, OrientedResult, PanopticResult, Result, SegmentationResult
    from .training import Run, train
    from .zoo import list_models

_RESULTS = ("InstanceResult", "OrientedResult", "PanopticResult", "Result", "SegmentationResult")
_MODULES = {
    "Run": ".training",
    "list_models": ".zoo",
    "load_model": ".loading",
    "merge_delta": ".deltas",
    "predict": ".predicting",
    "publish": "fdam_mm.publishing.writing",
    "push_to_hub": "fdam_mm.publishing.hub",
    "train": ".training",
    **dict.fromkeys(_RESULTS, ".results"),
}
__all__ = [
    "InstanceResult",
    "OrientedResult",
    "PanopticResult",
    "Result",
    "Run",
    "SegmentationResult",
    "list_models",
    "load_model",
    "merge_delta",
    "predict",
    "publish",
    "push_to_hub",
    "train",
]


def __getattr__(name: str) -> Any:
    """What needs torch comes when it is asked for: :mod:`fdam_mm.runtime` has none."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
