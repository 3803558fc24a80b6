"""Non-maximum suppression of rotated boxes, by numpy and OpenCV."""

import cv2
import numpy as np


def rotated_nms(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Keep boxes, best first, that overlap no kept box of their label by more.

    As mmcv's ``nms_rotated``, class by class.

    Args:
        boxes: (N, 5) cx, cy, w, h in pixels and the angle in radians, clockwise.
        scores: (N,).
        labels: (N,) ints; boxes of different labels don't compete.
        iou_threshold: A box goes whose IoU with a kept one is above it.

    Returns:
        (K,) indices of the kept boxes, by falling score.
    """
    order = np.argsort(-scores, kind="stable")
    radius = np.hypot(boxes[:, 2], boxes[:, 3]) / 2
    kept: list[int] = []
    for index in order.tolist():
        chosen = np.array(kept, np.int64)
        near = labels[chosen] == labels[index]
        apart = np.hypot(*(boxes[chosen, :2] - boxes[index, :2]).T)
        near &= apart < radius[chosen] + radius[index]
        if all(iou(boxes[index], boxes[other]) <= iou_threshold for other in chosen[near]):
            kept.append(index)
    return np.array(kept, np.int64)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (5,)."""
    areas = float(a[2] * a[3]), float(b[2] * b[3])
    middle = np.array([*a[:2], 0, 0, 0])  # far out float32 is too coarse
    shared, _ = cv2.intersectConvexConvex(_corners(a - middle), _corners(b - middle))
    return shared / max(sum(areas) - shared, 1e-12)


def _corners(box: np.ndarray) -> np.ndarray:
    """(4, 2) float32."""
    cosine, sine = np.cos(box[4]), np.sin(box[4])
    along, across = np.array([cosine, sine]) * box[2] / 2, np.array([-sine, cosine]) * box[3] / 2
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return np.array([box[:2] + i * along + j * across for i, j in signs], np.float32)
