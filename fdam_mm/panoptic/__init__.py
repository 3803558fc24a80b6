"""COCO panoptic data and PQ without `panopticapi`."""

from .loading import LoadCocoPanoptic
from .metric import CocoPanopticQuality

__all__ = ["CocoPanopticQuality", "LoadCocoPanoptic"]
