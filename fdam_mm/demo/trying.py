"""What the page does with a picture: one model beside the picture, or beside another model."""

from typing import NamedTuple

import cv2
import numpy as np

from fdam_mm.errors import FDAMError, UsageError

from .drawing import Found, drawn, found_in, on_page
from .models import Served

MAX_SIDE = 1280  # pixels of a picture that is predicted at once


class Side(NamedTuple):
    """One side of the divider."""

    title: str
    image: np.ndarray  # (h, w, 3) uint8 RGB, of one size on both sides
    found: list[Found] | None  # None for the picture itself


class Tried(NamedTuple):
    """What the page shows."""

    left: Side
    right: Side
    note: str  # what was done to the picture, or nothing


def try_models(
    model: Served, beside: Served | None, pixels: np.ndarray, tile: int | None, score: float
) -> Tried:
    """Predict a picture.

    Args:
        model: Shown at the right, or with ``beside`` at the left.
        beside: A second model; None shows the picture itself.
        pixels: (H, W, 3) uint8 BGR.
        tile: Side of the tiles that it is cut into if larger; None predicts it at once, reduced
            to ``MAX_SIDE``.
        score: Of objects, at least.

    Raises:
        FDAMError: A model cannot predict it; begins with the model's name.
    """
    fitting = pixels if tile is not None else reduced(pixels)
    note = "" if fitting is pixels else _reduction(pixels, fitting)
    if beside is None:
        left = Side("picture", on_page(pixels)[..., ::-1], None)
        right = _side(model, fitting, tile, score)
        return Tried(left._replace(image=_like(left.image, right.image)), right, note)
    return Tried(_side(model, fitting, tile, score), _side(beside, fitting, tile, score), note)


def reduced(pixels: np.ndarray) -> np.ndarray:
    """A picture of at most ``MAX_SIDE``; a smaller one is the same array."""
    factor = MAX_SIDE / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    size = [max(1, round(side * factor)) for side in pixels.shape[1::-1]]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _side(model: Served, pixels: np.ndarray, tile: int | None, score: float) -> Side:
    try:
        result = model.predict(pixels, tile)
    except FDAMError as error:
        raise UsageError(f"{model.name}: {error}") from error
    return Side(model.name, drawn(result, pixels, score), found_in(result, score))


def _like(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    return image if image.shape == other.shape else cv2.resize(image, other.shape[1::-1])


def _reduction(pixels: np.ndarray, fitting: np.ndarray) -> str:
    before, after = (f"{array.shape[1]} × {array.shape[0]}" for array in (pixels, fitting))
    return f"The picture was reduced from {before} to {after}; tiles predict all of its pixels."
