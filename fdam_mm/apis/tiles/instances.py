"""Instances tile by tile: what several tiles saw of one object becomes one object."""

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

SAME = 0.5  # IoU within what two tiles both see, from which two of a class are one object


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


def merge(found: Found, windows: np.ndarray) -> Found:
    """Join what several tiles saw of one object, best first.

    Two tiles see the same pixels where they overlap, so what they saw of one object is nearly
    equal there, however long it is beyond: two of a class are one object where their IoU within
    the overlap is at least half. Whatever is one object with a part of it joins too, but never two
    of one tile. Boxes become their hull and masks their union; the score is the best one's. Where
    there are masks, they decide what is shared, else the boxes.

    Args:
        found: What the tiles saw.
        windows: (tiles, 4) left, top, right, bottom.
    """
    order = np.argsort(-found.scores, kind="stable")
    free = np.ones(len(order), bool)
    kept: list[int] = []
    boxes = found.boxes.copy()
    rles = None if found.rles is None else list(found.rles)
    for index in order.tolist():
        if not free[index]:
            continue
        kept.append(index)
        parts = _parts(index, found, windows, free)
        boxes[index, :2] = found.boxes[parts, :2].min(0)
        boxes[index, 2:] = found.boxes[parts, 2:].max(0)
        if rles is not None and found.rles is not None and len(parts) > 1:
            rles[index] = coco_mask.merge([found.rles[part] for part in parts])
    masks = None if rles is None else [rles[i] for i in kept]
    return Found(boxes[kept], found.scores[kept], found.labels[kept], found.tiles[kept], masks)


def _parts(index: int, found: Found, windows: np.ndarray, free: np.ndarray) -> list[int]:
    """``index`` and what is one object with it, which is no longer free."""
    free[index] = False
    parts, seen = [index], {int(found.tiles[index])}
    for part in parts:  # which grows
        for other in _candidates(part, found, free):
            tile = int(found.tiles[other])
            window = _common(windows[found.tiles[part]], windows[tile])
            if tile not in seen and _iou(part, other, window, found) >= SAME:
                free[other] = False
                parts.append(other)
                seen.add(tile)
    return parts


def _candidates(index: int, found: Found, free: np.ndarray) -> list[int]:
    """Others of the class and of other tiles whose boxes meet this one, best first."""
    box = found.boxes[index]
    meets = (found.boxes[:, :2] < box[2:]).all(1) & (found.boxes[:, 2:] > box[:2]).all(1)
    meets &= free & (found.labels == found.labels[index]) & (found.tiles != found.tiles[index])
    others = np.flatnonzero(meets)
    return others[np.argsort(-found.scores[others], kind="stable")].tolist()


def _common(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The box that two boxes share, (4,); its sides are negative where there is none."""
    return np.concatenate([np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])])


def _iou(a: int, b: int, window: np.ndarray, found: Found) -> float:
    """Of two objects, within a window; 0 where neither has anything there."""
    if (window[2:] <= window[:2]).any():
        return 0.0
    if found.rles is None:
        cut = [_common(found.boxes[i], window) for i in (a, b)]
        areas = [_area(box) for box in cut]
        both = _area(_common(*cut))
    else:
        rle = _rectangle(window, found.rles[a]["size"])
        cut = [coco_mask.merge([found.rles[i], rle], intersect=True) for i in (a, b)]
        areas = coco_mask.area(cut).tolist()
        both = float(coco_mask.area(coco_mask.merge(cut, intersect=True)))
    return both / max(sum(areas) - both, 1e-9)


def _area(box: np.ndarray) -> float:
    return float((box[2:] - box[:2]).clip(min=0).prod())


def _rectangle(window: np.ndarray, size: list[int]) -> dict:
    """The mask of a window in a picture of ``size`` (height, width)."""
    sides = window[2:] - window[:2]
    return coco_mask.frPyObjects(np.array([[*window[:2], *sides]], float), *size)[0]
