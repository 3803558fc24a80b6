"""Non-maximum suppression of many rotated boxes.

mmcv's `nms_rotated` compares all boxes with all others. Here an R-tree finds the few that can
overlap, and mmcv measures those alone; which boxes stay is the same.

Legend of the shape comments: N boxes, P pairs of boxes.
"""

import numpy as np
import shapely
import torch
from mmcv.ops import box_iou_rotated

_SLACK = 1e-3  # relative, so that rounding never hides a pair from the exact measure


def rotated_nms(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Keep boxes, best first, that overlap no kept box of their class too much.

    Among equal scores the earlier box is the better one.

    Args:
        boxes: (N, 5) centre x, centre y, width, height in pixels, angle in radians (clockwise).
        scores: (N,).
        labels: (N,) ints; boxes of different labels don't compete.
        iou_threshold: above 0; a box goes whose IoU with a kept one is this or more.

    Returns:
        (K,) int64 indices of the kept boxes, by falling score.

    Raises:
        ValueError: the threshold is not above 0, or a box is not finite.
    """
    if iou_threshold <= 0:
        raise ValueError(f"iou_threshold is {iou_threshold}, expected more than 0")
    if not np.isfinite(boxes).all():
        raise ValueError("a box is not finite, expected numbers")
    order = np.argsort(-scores, kind="stable")
    pairs = _overlapping_pairs(boxes[order].astype(np.float64), labels[order], iou_threshold)
    return order[_greedy(len(order), pairs)]


def _overlapping_pairs(boxes: np.ndarray, labels: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Return (P, 2) indices, the smaller first, of equal labels and at least this IoU."""
    corners = _enclosing(boxes)  # (N, 4)
    tree_boxes = shapely.box(*_set_apart(corners, labels).T)
    pairs = shapely.STRtree(tree_boxes).query(tree_boxes).T  # (P, 2)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    pairs = pairs[_can_reach(boxes, corners, pairs, iou_threshold)]
    return pairs[_pair_ious(boxes, pairs) >= iou_threshold]


def _enclosing(boxes: np.ndarray) -> np.ndarray:
    """Return the upright boxes around rotated ones, (N, 4): left, top, right, bottom."""
    x, y, width, height, angle = boxes.T
    cosine, sine = np.abs(np.cos(angle)), np.abs(np.sin(angle))
    half_x = (width * cosine + height * sine) / 2
    half_y = (width * sine + height * cosine) / 2
    return np.stack([x - half_x, y - half_y, x + half_x, y + half_y], axis=1)


def _set_apart(corners: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Move the boxes of each label to a place of their own."""
    if not len(corners):
        return corners
    span = corners[:, 2].max() - corners[:, 0].min() + 1
    ranks = np.unique(labels, return_inverse=True)[1]
    return corners + np.outer(ranks * span, [1, 0, 1, 0])


def _can_reach(
    boxes: np.ndarray, corners: np.ndarray, pairs: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Tell, (P,) bool, whether the pairs' areas allow the IoU."""
    first, second = corners[pairs[:, 0]], corners[pairs[:, 1]]
    sides = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    areas = (boxes[:, 2] * boxes[:, 3])[pairs]  # (P, 2)
    shared = np.minimum(sides.clip(min=0).prod(axis=1), areas.min(axis=1))
    needed = iou_threshold / (1 + iou_threshold) * areas.sum(axis=1)
    return shared * (1 + _SLACK) >= needed


def _pair_ious(boxes: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return the (P,) IoUs, around the first box: far out float32 is too coarse."""
    first, second = boxes[pairs[:, 0]], boxes[pairs[:, 1]]
    second[:, :2] -= first[:, :2]
    first[:, :2] = 0
    if not len(pairs):
        return np.zeros(0, np.float32)
    ious = box_iou_rotated(
        torch.from_numpy(first).float(), torch.from_numpy(second).float(), aligned=True
    )
    return ious.numpy()


def _greedy(count: int, pairs: np.ndarray) -> np.ndarray:
    """Return the indices that stay when each one that stays removes its later partners."""
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    stays = np.ones(count, bool)
    firsts, starts = np.unique(pairs[:, 0], return_index=True)
    ends = [*starts[1:], len(pairs)]
    for first, start, end in zip(firsts, starts, ends[: len(firsts)], strict=True):
        if stays[first]:
            stays[pairs[start:end, 1]] = False
    return np.flatnonzero(stays)
