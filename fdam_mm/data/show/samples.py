"""What a pipeline gives a model, as a picture with its labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from fdam_mm.oriented.boxes import OrientedBoxes
from fdam_mm.visualization.overlay import blend_labels, blend_masks, draw_boxes, draw_outlines
from fdam_mm.visualization.rotated_boxes import Colour, draw_rotated_boxes

_IGNORED = (255, 255, 255)  # outlines of what is not learnt
_INSTANCE = 1000  # of mmdet: label + 1000 * number of the instance


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample behind the pipeline.

    Attributes:
        image: (H, W, 3) uint8 RGB; of several bands the first three.
        labels: (H, W) labels of pixels; -1 without one. None for boxes and instances.
        ids: (H, W) numbers of the segments of a panoptic sample.
        boxes: (N, 4, 2) corners of the objects.
        box_labels: (N,).
        masks: (N, H, W) bool; None for boxes alone.
        ignored: (M, 4, 2) corners of what is not learnt, such as crowds.
    """

    image: np.ndarray
    labels: np.ndarray | None
    ids: np.ndarray | None
    boxes: np.ndarray
    box_labels: np.ndarray
    masks: np.ndarray | None
    ignored: np.ndarray
    is_rotated: bool

    def present(self) -> set[int]:
        """The labels that it has."""
        found = set(self.box_labels.tolist())
        if self.labels is not None:
            found |= set(np.unique(self.labels[self.labels >= 0]).tolist())
        return found

    def share(self, label: int) -> float:
        """The part of the picture that a class takes, of boxes by the greatest; 0 without it."""
        if self.labels is not None:
            return float((self.labels == label).mean())
        boxes = self.boxes[self.box_labels == label]
        sides = boxes.max(1) - boxes.min(1) if len(boxes) else np.zeros((0, 2))
        return float(sides.prod(1).max(initial=0) / np.prod(self.image.shape[:2]))

    def draw(
        self, classes: Sequence[str], palette: Sequence[Colour], only: int | None = None
    ) -> np.ndarray:
        """The picture with its labels on it, or those of the class ``only``."""
        drawn = self.image
        if self.labels is not None:
            labels = self.labels
            if only is not None:
                labels = np.where(labels == only, labels, -1)
            drawn = blend_labels(drawn, labels, palette)
            if self.ids is not None:
                drawn = draw_outlines(drawn, np.where(labels < 0, -1, self.ids))
            return drawn
        shown: np.ndarray = np.arange(len(self.boxes))
        if only is not None:
            shown = np.flatnonzero(self.box_labels == only)
        labels = self.box_labels[shown]
        if self.masks is not None:
            drawn = blend_masks(drawn, self.masks[shown], labels, palette)
        width = 1 if max(self.image.shape[:2]) < 400 else 2
        if self.is_rotated:
            drawn = draw_rotated_boxes(drawn, self.boxes[shown], labels, palette, width)
        elif len(shown):
            boxes = np.concatenate([self.boxes[shown].min(1), self.boxes[shown].max(1)], axis=1)
            drawn = draw_boxes(drawn, boxes, labels, None, classes, palette)
        zeros = np.zeros(len(self.ignored), np.int64)
        return draw_rotated_boxes(drawn, self.ignored, zeros, [_IGNORED])


def sample_of(
    packed: Mapping[str, Any],
    num_classes: int,
    bands: bool = False,
    size: Sequence[int] | None = None,
) -> Sample:
    """Take a packed sample of mmseg, mmdet or mmrotate apart.

    Args:
        packed: Inputs and data sample.
        num_classes: Larger labels are none.
        bands: Whether the inputs are in a file's order.
        size: Height and width that the labels are of, where it is not that of the inputs.
    """
    inputs = np.asarray(packed["inputs"])
    image = _picture(inputs[2::-1] if bands and len(inputs) >= 3 else inputs)
    if size is not None:
        image = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    sample = packed["data_samples"]
    boxes, rotated = _corners(getattr(sample, "gt_instances", None))
    ignored, _ = _corners(getattr(sample, "ignored_instances", None))
    instances = getattr(sample, "gt_instances", None)
    box_labels = np.zeros(0, np.int64)
    masks = None
    if instances is not None and "labels" in instances:
        box_labels = np.asarray(instances.labels)
    if instances is not None and "masks" in instances:
        masks = _masks(instances.masks, image.shape[:2])
        if not len(boxes) and len(masks):
            boxes = np.stack([_box_of(mask) for mask in masks])
    labels, ids = _labels(sample, box_labels, masks, num_classes)
    return Sample(image, labels, ids, boxes, box_labels, masks, ignored, rotated)


def _picture(pixels: np.ndarray) -> np.ndarray:
    """(C, H, W) BGR of any depth -> (H, W, 3) uint8 RGB."""
    pixels = pixels[:3] if len(pixels) >= 3 else pixels[:1].repeat(3, 0)
    pixels = pixels[::-1].transpose(1, 2, 0)
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        if low < 0 or high > 255 or high <= 1:
            pixels = (pixels - low) * (255 / max(high - low, 1e-12))
    return np.ascontiguousarray(pixels.astype(np.uint8))


def _corners(instances: Any) -> tuple[np.ndarray, bool]:
    """(N, 4, 2) corners of boxes of any kind, and whether they are rotated."""
    if instances is None or "bboxes" not in instances or not len(instances.bboxes):
        return np.zeros((0, 4, 2)), False
    boxes = getattr(instances.bboxes, "tensor", instances.bboxes).numpy().astype(np.float64)
    if boxes.shape[1] == 8:
        return boxes.reshape(-1, 4, 2), True
    if boxes.shape[1] == 5:
        count = len(boxes)
        found = OrientedBoxes(boxes, np.ones(count), np.zeros(count, np.int64))
        return found.corners(), True
    left, top, right, bottom = boxes.T
    x, y = np.stack([left, right, right, left], 1), np.stack([top, top, bottom, bottom], 1)
    return np.stack([x, y], axis=2), False


def _masks(masks: Any, size: tuple[int, int]) -> np.ndarray:
    """(N, H, W) bool of mmdet's bitmaps or polygons, or of a tensor."""
    if hasattr(masks, "to_ndarray"):
        masks = masks.to_ndarray()
    found = np.asarray(masks).astype(bool).reshape(-1, *np.asarray(masks).shape[-2:])
    return found[:, : size[0], : size[1]]


def _box_of(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.zeros((4, 2))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def _labels(
    sample: Any, box_labels: np.ndarray, masks: np.ndarray | None, num_classes: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Labels of pixels, and numbers of segments where there are instances too."""
    if "gt_sem_seg" not in sample:
        return None, None
    data = sample.gt_sem_seg
    values = np.asarray(data.data if "data" in data else data.sem_seg).squeeze().astype(np.int64)
    labels = np.where(values < num_classes, values, -1)
    if masks is None:
        return labels, None
    ids = labels.copy()
    for number, (mask, label) in enumerate(zip(masks, box_labels, strict=True), start=1):
        labels[mask] = label
        ids[mask] = label + _INSTANCE * number
    return labels, ids
