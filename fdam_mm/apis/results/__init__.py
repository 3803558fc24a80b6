"""Typed results of :func:`fdam_mm.apis.predict`, one class per task."""

from .base import Result
from .instances import InstanceResult
from .oriented import OrientedResult
from .panoptic import PanopticResult
from .segmentation import SegmentationResult

__all__ = [
    "InstanceResult",
    "OrientedResult",
    "PanopticResult",
    "Result",
    "SegmentationResult",
]
