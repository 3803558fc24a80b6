"""COCO's polygons: lists x1, y1, x2, y2, ... in pixels, one for each part of an object."""

from typing import Any

import numpy as np

from fdam_mm.errors import LabelError

FEWEST = 6  # numbers, which make a triangle
FARTHEST = 1e6  # pixels; pycocotools ends the process, or takes all memory, on numbers far above


def read_polygon(polygon: Any) -> np.ndarray:
    """The numbers (n,) of one polygon; n may be of no use, see `is_usable`.

    Raises:
        LabelError: it is no list of numbers, or one of them is not finite or far outside.
    """
    expected = "expected x1, y1, x2, y2, ..."
    if not isinstance(polygon, list | tuple | np.ndarray) or not all(map(_is_number, polygon)):
        raise LabelError(f"a polygon that is no list of numbers, {expected}")
    far = [number for number in polygon if not abs(number) <= FARTHEST]  # NaN is not either
    if far:
        # an integer may be too long to print
        found = "a number far outside" if isinstance(far[0], int) else f"the number {far[0]}"
        raise LabelError(f"a polygon with {found}, {expected} in pixels")
    return np.array(polygon, dtype=np.float64)


def is_usable(polygon: np.ndarray) -> bool:
    """Whether mmdet takes it; it passes over the others."""
    return len(polygon) >= FEWEST and len(polygon) % 2 == 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number)
