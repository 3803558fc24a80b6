"""Panoptic quality (arXiv 1801.00868) by COCO's rules for void and crowd.

torchmetrics' `PanopticQuality` has no crowd, excuses a missed segment where the prediction is
void, and takes seconds for a picture of a megapixel; the tests compare with it where the rules
agree.

Legend of the shape comments: T true segments, P predicted segments, K classes, H x W the image.
"""

from typing import NamedTuple

import numpy as np

VOID = 0
"""The id of true pixels that belong to no segment."""


class Segments(NamedTuple):
    """The n segments of one image."""

    map: np.ndarray  # (H, W) int >= 0: the id of each pixel
    ids: np.ndarray  # (n,) int; pixels with an id that is not here belong to no segment
    labels: np.ndarray  # (n,) int in 0 .. K - 1
    crowd: np.ndarray  # (n,) bool


def pq_counts(true: Segments, pred: Segments, num_classes: int) -> np.ndarray:
    """Match the segments of one image and count per class.

    A pair of one class matches where its IoU, without the void pixels of the prediction, is above
    0.5. A crowd is never matched and never missed. A prediction without match is wrong unless more
    than half of it is void or crowd of its class.

    Args:
        true: The ground truth; pixels of id 0 are void.
        pred: The prediction; `crowd` is not read.
        num_classes: K.

    Returns:
        (K, 4): sum of the IoUs, true positives, false positives, false negatives. Counts of images
        add up.
    """
    table = _overlaps(true, pred)
    overlap, void = table[1:-1, 1:], table[-1, 1:]  # (T, P), (P,)
    area, pred_area = table[1:-1].sum(1), table[:, 1:].sum(0)  # (T,), (P,)
    same = true.labels[:, None] == pred.labels  # (T, P)
    union = area[:, None] + pred_area - overlap - void
    iou = np.where(same & ~true.crowd[:, None], overlap / np.maximum(union, 1), 0)
    match = iou > 0.5  # at most one per row and column
    rows, columns = match.nonzero()

    excused = void + np.where(same & true.crowd[:, None], overlap, 0).sum(0)  # (P,)
    false_positive = ~match.any(0) & (2 * excused <= pred_area)
    false_negative = ~match.any(1) & ~true.crowd
    weighted = [
        (true.labels[rows], iou[rows, columns]),
        (true.labels[rows], None),
        (pred.labels[false_positive], None),
        (true.labels[false_negative], None),
    ]
    return np.stack([np.bincount(x, w, minlength=num_classes) for x, w in weighted], axis=1)


def panoptic_quality(counts: np.ndarray) -> dict[str, float]:
    """Mean quality over the classes with any segment, true or predicted.

    Args:
        counts: (K, 4) from :func:`pq_counts`.

    Returns:
        `pq`, `sq`, `rq` in 0..1, nan without any segment, and `n`, the number of those classes.
    """
    counts = counts[counts[:, 1:].any(1)]
    if not len(counts):
        return dict(pq=np.nan, sq=np.nan, rq=np.nan, n=0)
    iou, tp, fp, fn = counts.T
    size = tp + (fp + fn) / 2
    parts = dict(pq=iou / size, sq=iou / np.maximum(tp, 1), rq=tp / size)
    return {**{name: float(part.mean()) for name, part in parts.items()}, "n": len(counts)}


def _overlaps(true: Segments, pred: Segments) -> np.ndarray:
    """Pixels that segments share, (T + 2, P + 1): 0 is for no segment, the last row for void."""
    shape = len(true.ids) + 2, len(pred.ids) + 1
    pairs = _positions(true, VOID) * shape[1] + _positions(pred)
    return np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)


def _positions(segments: Segments, extra: int | None = None) -> np.ndarray:
    """(H * W,): 1 + the index of each pixel's segment, 0 for none, n + 1 for the id ``extra``."""
    ids = segments.ids if extra is None else np.append(segments.ids, extra)
    table = np.zeros(max(segments.map.max(), ids.max(initial=0)) + 1, dtype=np.int64)
    table[ids] = np.arange(1, len(ids) + 1)
    return table[segments.map.ravel()]
