"""What a test's predictions are counted into, picture by picture, beside the config's metrics."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .boundary import boundary_counts
from .confusion import confusion_of_objects, confusion_of_pixels, f1_of_objects

SCORE = 0.3
"""Least score of the objects that are counted and drawn."""


class Collector(ABC):
    """Stands among an evaluator's metrics; keeps counts alone, whatever the number of pictures.

    Args:
        num_classes: K.
        dataset: The test data, for the truth of a picture by its number.
    """

    def __init__(self, num_classes: int, dataset: Any) -> None:
        self.num_classes, self.dataset = num_classes, dataset
        self.dataset_meta: Any = None  # the evaluator sets it
        self.files: list[str] = []
        self.scores: list[float] = []

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Count a batch; pictures come in the data set's order."""
        for sample in data_samples:
            self.scores.append(self._count(sample, len(self.files)))
            self.files.append(str(sample.get("img_path") or ""))

    def evaluate(self, size: int) -> dict[str, float]:
        """Adds nothing to the metrics of the config."""
        return {}

    @abstractmethod
    def _count(self, sample: dict[str, Any], index: int) -> float:
        """Count a picture; returns its score from 0 to 1."""


class PixelCollector(Collector):
    """Of segmentors. A picture's score is the mean IoU of the classes in it or predicted for it.

    Args:
        ignored: The label that the config's metric leaves out.
    """

    def __init__(self, num_classes: int, dataset: Any, ignored: int = 255) -> None:
        super().__init__(num_classes, dataset)
        self.ignored = ignored
        self.confusion = np.zeros((num_classes, num_classes), np.int64)
        self.boundaries = np.zeros((2, num_classes), np.int64)

    def _count(self, sample: dict[str, Any], index: int) -> float:
        labels = sample["gt_sem_seg"]["data"].squeeze().cpu().numpy()
        predicted = sample["pred_sem_seg"]["data"].squeeze().cpu().numpy()
        known = labels != self.ignored
        counts = confusion_of_pixels(np.where(known, labels, -1), predicted, self.num_classes)
        self.confusion += counts
        self.boundaries += boundary_counts(labels, predicted, self.num_classes, ~known)
        ious = iou(counts)
        return float(np.nanmean(ious)) if not np.isnan(ious).all() else 1.0


class ObjectCollector(Collector):
    """Of detectors. A picture's score is F1 at IoU 0.5 of the boxes with a score of ``SCORE``."""

    def __init__(self, num_classes: int, dataset: Any, rotated: bool = False) -> None:
        super().__init__(num_classes, dataset)
        self.rotated = rotated
        self.confusion = np.zeros((num_classes + 1,) * 2, np.int64)

    def _count(self, sample: dict[str, Any], index: int) -> float:
        found = sample.get("pred_instances")
        if found is None:  # a panoptic model that gives segments alone
            return float("nan")
        shown = found["scores"] >= SCORE
        boxes = _tensor(found["bboxes"])[shown].cpu().float()
        predicted = found["labels"][shown].cpu().numpy()
        true, labels = self._truth(sample, index)
        overlaps = np.zeros((len(boxes), len(labels)))
        if overlaps.size:
            overlaps = self._overlaps(boxes, true).numpy()
        counts = confusion_of_objects(overlaps, labels, predicted, self.num_classes)
        self.confusion += counts
        return f1_of_objects(counts)

    def _truth(self, sample: dict[str, Any], index: int) -> tuple[torch.Tensor, np.ndarray]:
        """Boxes and labels in the pixels of the file, without those to ignore."""
        if self.rotated:  # as mmrotate's metric: the test pipeline reads them unscaled
            true = sample["gt_instances"]
            return _tensor(true["bboxes"]).cpu().float(), true["labels"].cpu().numpy()
        objects = true_objects(self.dataset, index)
        boxes = torch.tensor([o["bbox"] for o in objects], dtype=torch.float32)
        labels = np.array([o["bbox_label"] for o in objects], np.int64)
        return boxes.reshape(-1, 4), labels

    def _overlaps(self, boxes: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        if self.rotated:
            from mmcv.ops import box_iou_rotated

            return box_iou_rotated(boxes, true)
        from torchvision.ops import box_iou

        return box_iou(boxes, true)


def true_objects(dataset: Any, index: int) -> list[dict[str, Any]]:
    """The objects of a picture as mmdet's data sets hold them, without those to ignore."""
    objects = dataset.get_data_info(index).get("instances") or []
    return [o for o in objects if not o.get("ignore_flag")]


def iou(confusion: np.ndarray) -> np.ndarray:
    """(K,) of pixels; nan for a class that is neither there nor predicted."""
    right = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - right
    return np.where(union > 0, right / np.maximum(union, 1), np.nan)


def _tensor(boxes: Any) -> torch.Tensor:
    return getattr(boxes, "tensor", boxes)  # of mmdet's box types
