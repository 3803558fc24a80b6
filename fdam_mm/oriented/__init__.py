"""From a detector's boxes to results: files of them, merging of patches, DOTA's submission."""

from .merged_metric import MergedDOTAMetric
from .results import SaveOrientedResults

__all__ = ["MergedDOTAMetric", "SaveOrientedResults"]
