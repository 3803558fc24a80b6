"""Boundary IoU (Cheng et al., CVPR 2021) of semantic label maps."""

import cv2
import numpy as np

DILATION = 0.02
"""Width of a boundary, in diagonals of the picture: the paper's."""


def boundary_counts(
    labels: np.ndarray, predicted: np.ndarray, num_classes: int, ignored: np.ndarray | None = None
) -> np.ndarray:
    """Pixels of both boundaries, and of either, for each class.

    A class's boundary are its pixels no further than ``DILATION`` diagonals from where it ends,
    the edge of the picture included. Boundary IoU is the quotient, summed over a data set as IoU
    is. Pixels to ignore belong to no class, in the truth and in the prediction.

    Args:
        labels, predicted: (H, W) ints.
        num_classes: K.
        ignored: (H, W) bool.

    Returns:
        (2, K) int64: of the intersections and of the unions.
    """
    if ignored is not None:
        labels = np.where(ignored, -1, labels)
        predicted = np.where(ignored, -1, predicted)
    height, width = labels.shape
    distance = max(1, round(DILATION * float(np.hypot(height, width))))
    counts = np.zeros((2, num_classes), np.int64)
    for label in np.union1d(np.unique(labels), np.unique(predicted)):
        if 0 <= label < num_classes:
            true, found = (_boundary(x == label, distance) for x in (labels, predicted))
            counts[:, label] = (true & found).sum(), (true | found).sum()
    return counts


def _boundary(mask: np.ndarray, distance: int) -> np.ndarray:
    """The pixels of a mask (H, W) that a square of this radius around them leaves."""
    square = np.ones((2 * distance + 1,) * 2, np.uint8)
    inner = cv2.erode(mask.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0)  # type: ignore[call-overload]
    return mask & ~inner.astype(bool)
