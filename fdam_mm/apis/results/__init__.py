"""Typed results of :func:`fdam_mm.apis.predict`, one class per task."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import Result
    from .instances import InstanceResult
    from .oriented import OrientedResult
    from .panoptic import PanopticResult
    from .segmentation import SegmentationResult

_MODULES = {
    "InstanceResult": ".instances",
    "OrientedResult": ".oriented",
    "PanopticResult": ".panoptic",
    "Result": ".base",
    "SegmentationResult": ".segmentation",
}
__all__ = [
    "InstanceResult",
    "OrientedResult",
    "PanopticResult",
    "Result",
    "SegmentationResult",
]


def __getattr__(name: str) -> Any:
    """Each comes when it is asked for, since some need pycocotools or the toolkits."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name], __name__), name)
