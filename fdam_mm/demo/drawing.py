"""A result as the page shows it: drawn at a readable size, with what was found beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np

from fdam_mm.apis.picture import PixelPicture
from fdam_mm.apis.results.base import Colour, Result

_SMALLEST, _LARGEST = 640, 1600  # pixels of a drawing's longer side


class Found(NamedTuple):
    """A class that a model found in a picture."""

    name: str
    colour: Colour
    amount: str


def on_page(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) enlarged by a whole number, so that names have room, or reduced."""
    longest = max(pixels.shape[:2])
    factor = -(-_SMALLEST // longest) if longest < _SMALLEST else min(1.0, _LARGEST / longest)
    size = [max(1, round(side * factor)) for side in pixels.shape[1::-1]]
    return cv2.resize(
        pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    )


def drawn(result: Result, pixels: np.ndarray, score: float) -> np.ndarray:
    """The picture with the prediction on it, (h, w, 3) uint8 RGB, as large as :func:`on_page`.

    Args:
        result: Of the picture.
        pixels: The picture, (H, W, 3) uint8 BGR.
        score: Of objects, at least.
    """
    canvas = on_page(pixels)
    shown = replace(result, picture=_Canvas(result.name, None, pixels, canvas))
    settings: dict[str, Any] = dict(score=score) if _has_scores(result) else {}
    # The legend below it is the page's, and not a part of what the divider moves over.
    return shown.draw(**settings)[: len(canvas)]


def _has_scores(result: Result) -> bool:
    return hasattr(result, "above")


@dataclass(frozen=True, eq=False)
class _Canvas(PixelPicture):
    """A picture that is drawn on at another size."""

    canvas: np.ndarray

    def reduced(self, max_side: int) -> tuple[np.ndarray, float]:  # type: ignore[override]
        return self.canvas, self.size[1] / self.canvas.shape[1]


def found_in(result: Result, score: float) -> list[Found]:
    """The classes that are there: how many objects of at least ``score``, or the share of pixels.

    The most come first.
    """
    seen: Any = result
    if not _has_scores(result):
        return _shares(result, seen.labels)
    shown = seen.above(score)
    labels = getattr(shown, "objects", shown).labels  # of boxes, rotated or upright
    counts = np.bincount(labels.astype(int), minlength=len(result.classes))
    return _listed(result, counts, [f"× {count}" for count in counts.tolist()])


def _shares(result: Result, labels: np.ndarray) -> list[Found]:
    counts = np.bincount(labels[labels >= 0].ravel(), minlength=len(result.classes))
    shares = counts / max(labels.size, 1)
    return _listed(result, counts, [f"{share:.1%}" for share in shares.tolist()])


def _listed(result: Result, counts: np.ndarray, amounts: Sequence[str]) -> list[Found]:
    order = np.argsort(-counts, kind="stable")
    return [
        Found(result.classes[label], result.palette[label], amounts[label])
        for label in order.tolist()
        if counts[label] and label < len(result.classes)
    ]
