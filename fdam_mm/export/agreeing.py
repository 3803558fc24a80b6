"""How far the results of an export are from torch's, by task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Results = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Agreement:
    """Of one input.

    Attributes:
        errors: Of each result its largest error, and its largest value of torch's.
        changed: Pixels that change class, or the side of a mask.
        pixels: Of how many.
    """

    errors: dict[str, tuple[float, float]]
    changed: int
    pixels: int


def of_segmentation(expected: Results, found: Results) -> Agreement:
    """Of ``logits`` (B, C, h, w)."""
    classes = [_classes(results["logits"]) for results in (found, expected)]
    changed = int(np.count_nonzero(classes[0] != classes[1]))
    return Agreement(_errors(expected, found), changed, classes[0].size)


def of_instances(expected: Results, found: Results) -> Agreement:
    """Of ``logits`` (B, Q, K), ``query_boxes`` and ``query_masks``.

    Queries are compared with the nearest of the export, in classes and boxes: which place a query
    has hangs on the order of selected tokens, and so on their last digits.
    """
    order = _nearest(_signs(expected), _signs(found))  # (B, Q)
    aligned = {
        name: np.take_along_axis(values, order.reshape(*order.shape, *[1] * (values.ndim - 2)), 1)
        for name, values in found.items()
    }
    masks = [results["query_masks"] > 0 for results in (aligned, expected)]
    changed = int(np.count_nonzero(masks[0] != masks[1]))
    return Agreement(_errors(expected, aligned), changed, masks[0].size)


def of_rotated(expected: Results, found: Results) -> Agreement:
    """Of ``boxes`` (1, P, 5) and ``scores`` (1, P, K), of those that count.

    Boxes are compared with the nearest of the export; a box counts whose best score is at least
    0.05. An angle that leaves its range at one end comes back at the other, so what is compared
    is twice its sine and cosine.
    """
    counts = expected["scores"][0].max(1) >= 0.05
    ours, theirs = (
        {**results, "boxes": _turns(results["boxes"])} for results in (expected, found)
    )
    scale = np.maximum(np.abs(ours["boxes"]).max((0, 1)), 1e-12)
    known = [np.concatenate([r["boxes"] / scale, r["scores"]], axis=2) for r in (ours, theirs)]
    order = _nearest(known[0][:, counts], known[1])[0]
    ours = {name: values[:, counts] for name, values in ours.items()}
    theirs = {name: values[:, order] for name, values in theirs.items()}
    classes = [results["scores"].argmax(2) for results in (ours, theirs)]
    changed = int(np.count_nonzero(classes[0] != classes[1]))
    return Agreement(_errors(ours, theirs), changed, classes[0].size)


AGREE: dict[str, Callable[[Results, Results], Agreement]] = {
    "segmentation": of_segmentation,
    "instances": of_instances,
    "rotated": of_rotated,
}


def largest(values: np.ndarray) -> float:
    """By the absolute value; NaN counts as infinite."""
    found = float(np.abs(values).max(initial=0))
    return float("inf") if np.isnan(found) else found


def _errors(expected: Results, found: Results) -> dict[str, tuple[float, float]]:
    return {
        name: (largest(found[name] - values), max(largest(values), 1e-12))
        for name, values in expected.items()
    }


def _turns(boxes: np.ndarray) -> np.ndarray:
    """(..., 5) -> (..., 6): the angle as sine and cosine of its double, times the width."""
    angle, width = 2 * boxes[..., 4:], boxes[..., 2:3]
    parts = [boxes[..., :4], width * np.sin(angle), width * np.cos(angle)]
    return np.concatenate(parts, axis=-1)


def _signs(results: Results) -> np.ndarray:
    """(B, Q, K + 4), what a query is known by."""
    return np.concatenate([np.tanh(results["logits"]), results["query_boxes"]], axis=2)


def _nearest(expected: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(B, Q): of each expected the place of the nearest, by the largest difference."""
    return np.stack([
        np.array([np.abs(theirs - row).max(1).argmin() for row in ours])
        for ours, theirs in zip(expected, found, strict=True)
    ])  # fmt: skip


def _classes(logits: np.ndarray) -> np.ndarray:
    return logits.argmax(1) if logits.shape[1] > 1 else logits[:, 0] > 0
