"""Instances tile by tile: what several tiles saw of one object becomes one object."""

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

SHARED = 0.5  # of the smaller one, at which two of a class are one object


@dataclass(eq=False)
class Found:
    """Objects in the pixels of the whole picture.

    Attributes:
        boxes: (N, 4) left, top, right, bottom.
        scores: (N,).
        labels: (N,) ints.
        tiles: (N,) ints, the tile that saw it; two of one tile are never one object.
        rles: N masks over the whole picture, or None.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    tiles: np.ndarray
    rles: list[dict] | None


def merge(found: Found) -> Found:
    """Join, best first, the objects of a class of which half of the smaller is shared.

    Boxes become their hull and masks their union; the score is the best one's. Where there are
    masks, they decide what is shared, else the boxes.
    """
    order = np.argsort(-found.scores, kind="stable")
    free = np.ones(len(order), bool)
    kept: list[int] = []
    boxes = found.boxes.copy()
    rles = None if found.rles is None else list(found.rles)
    for index in order.tolist():
        if not free[index]:
            continue
        free[index] = False
        kept.append(index)
        for other in _candidates(boxes[index], index, found, free):
            if _shared(index, other, boxes, rles) < SHARED:
                continue
            free[other] = False
            boxes[index, :2] = np.minimum(boxes[index, :2], boxes[other, :2])
            boxes[index, 2:] = np.maximum(boxes[index, 2:], boxes[other, 2:])
            if rles is not None:
                rles[index] = coco_mask.merge([rles[index], rles[other]])
    masks = None if rles is None else [rles[i] for i in kept]
    return Found(boxes[kept], found.scores[kept], found.labels[kept], found.tiles[kept], masks)


def _candidates(box: np.ndarray, index: int, found: Found, free: np.ndarray) -> list[int]:
    """Others of the class and of other tiles whose boxes meet this one, best first."""
    meets = (found.boxes[:, :2] < box[2:]).all(1) & (found.boxes[:, 2:] > box[:2]).all(1)
    meets &= free & (found.labels == found.labels[index]) & (found.tiles != found.tiles[index])
    others = np.flatnonzero(meets)
    return others[np.argsort(-found.scores[others], kind="stable")].tolist()


def _shared(a: int, b: int, boxes: np.ndarray, rles: list[dict] | None) -> float:
    """Intersection over the smaller one."""
    if rles is not None:
        areas = coco_mask.area([rles[a], rles[b]])
        both = coco_mask.area(coco_mask.merge([rles[a], rles[b]], intersect=True))
        return float(both) / max(float(areas.min()), 1.0)
    sides = np.minimum(boxes[a, 2:], boxes[b, 2:]) - np.maximum(boxes[a, :2], boxes[b, :2])
    areas = (boxes[[a, b], 2:] - boxes[[a, b], :2]).prod(1)
    return float(sides.clip(min=0).prod()) / max(float(areas.min()), 1e-9)
