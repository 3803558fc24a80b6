"""Predictions laid over a picture, in the colours of their classes; all pictures are RGB."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from .rotated_boxes import Colour, draw_legend

_OPACITY = 0.5
_LETTER_SIZE = 0.45


def blend_labels(image: np.ndarray, labels: np.ndarray, palette: Sequence[Colour]) -> np.ndarray:
    """Colour every pixel by its label.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) ints, indices into the palette; what is outside of it stays as it is.
        palette: colours.
    """
    table = np.zeros((len(palette) + 1, 3), np.uint8)
    table[:-1] = palette
    outside = (labels < 0) | (labels >= len(palette))
    colours = table[np.where(outside, len(palette), labels)]
    mixed = cv2.addWeighted(image, 1 - _OPACITY, colours, _OPACITY, 0)
    return np.where(outside[..., None], image, mixed)


def blend_masks(
    image: np.ndarray, masks: Iterable[np.ndarray], labels: np.ndarray, palette: Sequence[Colour]
) -> np.ndarray:
    """Colour N masks (H, W) by their labels (N,)."""
    drawn = image.astype(np.float32)
    for mask, label in zip(masks, labels, strict=True):
        inside = mask.astype(bool)
        drawn[inside] = (1 - _OPACITY) * drawn[inside] + _OPACITY * np.array(palette[label])
    return drawn.round().astype(np.uint8)


def draw_boxes(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray | None,
    classes: Sequence[str],
    palette: Sequence[Colour],
) -> np.ndarray:
    """Draw upright boxes (N, 4) with the names of their classes and their scores, if any."""
    drawn = np.ascontiguousarray(image).copy()
    notes = [""] * len(boxes) if scores is None else [f" {score:.2f}" for score in scores]
    for (left, top, right, bottom), label, note in zip(
        boxes.round().astype(int).tolist(), labels.tolist(), notes, strict=True
    ):
        colour = tuple(int(value) for value in palette[label])
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, 2)
        text = f"{classes[label]}{note}"
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, _LETTER_SIZE, 1)
        base = max(top, height + 6)
        cv2.rectangle(drawn, (left, base - height - 6), (left + width + 4, base), colour, -1)
        ink = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
        at = (left + 2, base - 4)
        cv2.putText(drawn, text, at, cv2.FONT_HERSHEY_SIMPLEX, _LETTER_SIZE, ink, 1, cv2.LINE_AA)
    return drawn


def draw_outlines(image: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Draw white lines between the segments of ``ids`` (H, W)."""
    border = np.zeros(ids.shape, bool)
    border[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    border[1:] |= ids[1:] != ids[:-1]
    drawn = image.copy()
    drawn[border] = 255
    return drawn


def with_legend(
    image: np.ndarray, classes: Sequence[str], palette: Sequence[Colour], shown: np.ndarray
) -> np.ndarray:
    """Put the names and colours of the labels ``shown`` below a picture."""
    shown = [int(label) for label in shown if label < len(classes)]
    names, colours = [classes[label] for label in shown], [palette[label] for label in shown]
    if not names:
        return image
    return np.concatenate([image, draw_legend(names, colours, image.shape[1])])
