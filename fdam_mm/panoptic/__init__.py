"""COCO panoptic data and PQ without `panopticapi`; import it in a config's `custom_imports`."""

from .loading import LoadCocoPanoptic
from .metric import CocoPanopticQuality

__all__ = ["CocoPanopticQuality", "LoadCocoPanoptic"]
