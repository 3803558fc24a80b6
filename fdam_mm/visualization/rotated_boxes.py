"""Rotated boxes drawn into a picture, one colour for each class."""

from collections.abc import Sequence

import cv2
import numpy as np

Colour = Sequence[int]

_SHIFT = 4  # cv2's fixed point: 4 fractional bits
_ROW = 18  # pixels, height of a line of the legend
_LETTER = 8  # pixels, about the width of a letter
_SWATCH = 12  # pixels, side of a legend's square


def draw_rotated_boxes(
    image: np.ndarray,
    corners: np.ndarray,
    labels: np.ndarray,
    palette: Sequence[Colour],
    width: int = 1,
) -> np.ndarray:
    """Return a copy of the picture with outlines.

    Args:
        image: (H, W, 3) uint8.
        corners: (N, 4, 2) x and y in pixels.
        labels: (N,) ints, indices into the palette.
        palette: colours, in the image's order of channels.
        width: of the lines, in pixels.
    """
    drawn = np.ascontiguousarray(image).copy()
    fixed = np.round(corners * 2**_SHIFT).astype(np.int32)
    for outline, label in zip(fixed, labels, strict=True):
        colour = tuple(int(value) for value in palette[label])
        cv2.polylines(drawn, [outline], True, colour, width, cv2.LINE_AA, _SHIFT)
    return drawn


def draw_legend(classes: Sequence[str], palette: Sequence[Colour], width: int) -> np.ndarray:
    """Return a strip, (H, width, 3) uint8, with the classes' names and colours."""
    places: list[tuple[int, int]] = []
    x, y = 4, 0
    for name in classes:
        needed = _SWATCH + _LETTER * (len(name) + 2)
        if x + needed > width and x > 4:
            x, y = 4, y + _ROW
        places.append((x, y))
        x += needed
    strip = np.full((y + _ROW, width, 3), 255, np.uint8)
    for name, colour, (x, y) in zip(classes, palette, places, strict=False):
        corner = (x + _SWATCH, y + _SWATCH + 3)
        cv2.rectangle(strip, (x, y + 3), corner, tuple(int(value) for value in colour), -1)
        at = (x + _SWATCH + 4, y + _SWATCH + 2)
        cv2.putText(strip, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return strip
