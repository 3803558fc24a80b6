"""Boxes, polygons and masks of objects: from one to another, in pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fdam_mm.data.formats.polygons import FARTHEST
from fdam_mm.data.formats.rle import decode_rle, rle_runs
from fdam_mm.errors import LabelError

from .labelled import LabelledObject, Rle

Box = tuple[float, float, float, float]


def box_of(points: np.ndarray) -> Box:
    """The upright box around points (n, 2)."""
    (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
    return left, top, right, bottom


def corners_of(box: Box) -> np.ndarray:
    """The corners (4, 2) of an upright box, from its left top on, clockwise as seen."""
    left, top, right, bottom = box
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def points_of(values: Any, what: str = "points", fewest: int = 3) -> np.ndarray:
    """Points (n, 2) of pairs, or of one list x1, y1, x2, y2, ...

    Raises:
        LabelError: They are no finite numbers near a picture, or too few.
    """
    expected = f"expected {fewest} or more x, y in pixels"
    try:
        points = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise LabelError(f"{what} that are no numbers, {expected}") from error
    if points.ndim == 1 and points.size % 2 == 0:
        points = points.reshape(-1, 2)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < fewest:
        shape = "x".join(map(str, points.shape))
        raise LabelError(f"{what} of shape {shape}, {expected}")
    if not (np.abs(points) <= FARTHEST).all():  # NaN is not either
        raise LabelError(f"{what} with a number far outside, {expected}")
    return points


def number_of(value: Any, what: str) -> float:
    """A coordinate.

    Raises:
        LabelError: It is no finite number near a picture.
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise LabelError(f"{what} {value!r:.40}, expected a number") from error
    if not abs(number) <= FARTHEST:
        raise LabelError(f"{what} {number}, expected pixels near the picture")
    return number


def rotated(box: Box, degrees: float) -> np.ndarray:
    """The corners (4, 2) of a box turned about its centre, clockwise as seen."""
    left, top, right, bottom = box
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (corners_of(box) - centre) @ turn + centre


def ellipse(
    centre: tuple[float, float], radii: tuple[float, float], degrees: float = 0, count: int = 64
) -> np.ndarray:
    """Points (count, 2) of an ellipse."""
    angle = np.arange(count) * (2 * np.pi / count)
    points = np.stack([radii[0] * np.cos(angle), radii[1] * np.sin(angle)], axis=1)
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return points @ matrix + np.array(centre)


def rle_of(mask: np.ndarray, left: int, top: int, size: tuple[int, int]) -> Rle:
    """The run lengths of a mask (h, w) that lies at ``left``, ``top`` in a picture of ``size``.

    No array of the picture's size is made; what sticks out is left out.

    Raises:
        LabelError: Nothing of it is in the picture.
    """
    height, width = size
    mask = mask[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    left, top = max(left, 0), max(top, 0)
    columns, rows = np.nonzero(mask.T)
    if not len(rows):
        raise LabelError("a mask without pixels in the picture, expected some")
    places = (columns + left).astype(np.int64) * height + rows + top  # down the columns
    breaks = np.flatnonzero(np.diff(places) > 1)
    starts = places[np.concatenate([[0], breaks + 1])]
    ends = places[np.concatenate([breaks, [len(places) - 1]])] + 1
    edges = np.concatenate([[0], np.stack([starts, ends], 1).ravel(), [height * width]])
    runs = np.diff(edges).tolist()
    if runs[-1] == 0:
        runs.pop()
    return dict(size=[height, width], counts=runs)


def box_of_rle(rle: Rle, size: tuple[int, int]) -> Box:
    """The box around the pixels of run lengths; all zeros where there are none.

    Raises:
        LabelError: They are broken.
    """
    height, width = size
    runs = rle_runs(rle, height, width)
    ends = np.cumsum(runs)
    starts = (ends - runs)[1::2]
    ends = ends[1::2]
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    if not len(starts):
        return 0.0, 0.0, 0.0, 0.0
    first, last = starts // height, (ends - 1) // height
    over = (last > first).any()  # a run that goes on in the next column has its end and start
    top = 0 if over else int((starts % height).min())
    bottom = height if over else int(((ends - 1) % height).max()) + 1
    return float(first.min()), float(top), float(last.max() + 1), float(bottom)


def mask_of(
    found: LabelledObject, size: tuple[int, int]
) -> tuple[np.ndarray, tuple[int, int]] | None:
    """The pixels of an object's mask, as COCO draws polygons, within its own box alone.

    Returns:
        The mask (h, w) bool with its left and top in the picture; None for an object without a
        mask, or with nothing of it in the picture.

    Raises:
        LabelError: The mask is broken.
    """
    height, width = size
    if found.rle is not None:
        mask = decode_rle(found.rle, height, width).astype(bool)
        left, top, right, bottom = (int(v) for v in box_of_rle(found.rle, size))
        return (mask[top:bottom, left:right], (left, top)) if right > left else None
    polygons = found.polygons or ((found.corners,) if found.corners is not None else ())
    if not polygons:
        return None
    return fill(polygons, size)


def fill(
    polygons: Sequence[np.ndarray], size: tuple[int, int]
) -> tuple[np.ndarray, tuple[int, int]] | None:
    """The pixels of polygons (n, 2) together, as pycocotools draws them; see `mask_of`."""
    from pycocotools import mask as coco_mask

    height, width = size
    points = np.concatenate(polygons)
    left, top = np.maximum(np.floor(points.min(0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(points.max(0)).astype(int) + 2, [width, height])
    if left >= right or top >= bottom:
        return None
    parts = [
        np.clip(polygon - [left, top], -2 * max(size), 2 * max(size)).ravel().tolist()
        for polygon in polygons
        if len(polygon) > 2
    ]
    if not parts:
        return None
    rles = coco_mask.frPyObjects(parts, int(bottom - top), int(right - left))
    mask = coco_mask.decode(coco_mask.merge(rles)).astype(bool)
    return (mask, (int(left), int(top))) if mask.any() else None


def area_of(found: LabelledObject, size: tuple[int, int]) -> float:
    """Pixels of an object: of its mask, else of its corners or box."""
    if found.rle is not None:
        return float(rle_runs(found.rle, *size)[1::2].sum())
    polygons = found.polygons or ((found.corners,) if found.corners is not None else ())
    if polygons:
        return float(sum(_polygon_area(polygon) for polygon in polygons))
    left, top, right, bottom = found.box
    return max(0.0, right - left) * max(0.0, bottom - top)


def is_rectangle(points: np.ndarray, tolerance: float = 1.5) -> bool:
    """Whether four points (4, 2) are the corners of a rectangle, give or take some pixels."""
    if len(points) != 4:
        return False
    a, b, c, d = points
    closes = np.abs(a + c - b - d).max() <= 2 * tolerance
    diagonals = abs(np.linalg.norm(a - c) - np.linalg.norm(b - d)) <= 2 * tolerance
    return bool(closes and diagonals)


def is_upright(points: np.ndarray, tolerance: float = 1e-3) -> bool:
    """Whether corners (4, 2) are those of an upright box."""
    left, top, right, bottom = box_of(points)
    near = np.minimum(np.abs(points - [left, top]), np.abs(points - [right, bottom]))
    return bool((near <= tolerance).all())


def _polygon_area(points: np.ndarray) -> float:
    x, y = points[:, 0], points[:, 1]
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
