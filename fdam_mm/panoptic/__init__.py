"""COCO panoptic data and PQ without `panopticapi`."""

from . import inferencing  # noqa: F401
from .loading import LoadCocoPanoptic
from .metric import CocoPanopticQuality

__all__ = ["CocoPanopticQuality", "LoadCocoPanoptic"]
