import time

import numpy as np
import pytest
import torch
from mmcv.ops import box_iou_rotated, nms_rotated

from fdam_mm.oriented.rotated_nms import rotated_nms


def draw_boxes(count: int, extent: float, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Boxes, half of them near copies of others, with scores that repeat, and labels."""
    rng = np.random.default_rng(seed)
    boxes = np.concatenate(
        [
            rng.uniform(0, extent, size=(count, 2)),
            rng.uniform(4, 60, size=(count, 2)),
            rng.uniform(-np.pi / 2, np.pi / 2, size=(count, 1)),
        ],
        axis=1,
    )
    copies = rng.integers(count, size=count // 2)
    boxes[: count // 2] = boxes[copies] + rng.normal(scale=[2, 2, 2, 2, 0.1], size=(count // 2, 5))
    boxes[:, 2:4] = boxes[:, 2:4].clip(min=1)
    scores = np.round(rng.uniform(0.05, 1, size=count), 2)
    return boxes, scores, rng.integers(0, 4, size=count)


def reference(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, threshold: float
) -> list[int]:
    """The plain way: class by class, best first, one box after the other."""
    kept: list[int] = []
    for label in np.unique(labels):
        of_class: list[int] = []
        for index in sorted(np.flatnonzero(labels == label), key=lambda i: -scores[i]):
            if of_class:
                others = boxes[of_class].copy()
                others[:, :2] -= boxes[index, :2]
                own = boxes[index : index + 1].copy()
                own[:, :2] = 0
                ious = box_iou_rotated(torch.tensor(others).float(), torch.tensor(own).float())
                if (ious >= threshold).any():
                    continue
            of_class.append(int(index))
        kept += of_class
    return sorted(kept)


@pytest.mark.parametrize("threshold", [0.1, 0.5])
@pytest.mark.parametrize("offset", [0, 20000])
def test_equals_the_plain_way_class_by_class(threshold: float, offset: int) -> None:
    boxes, scores, labels = draw_boxes(1500, extent=700)
    boxes[:, :2] += offset
    kept = rotated_nms(boxes, scores, labels, threshold)
    assert 200 < len(kept) < 1400
    assert sorted(kept.tolist()) == reference(boxes, scores, labels, threshold)
    assert (np.diff(scores[kept]) <= 0).all()


def test_equals_mmcv() -> None:
    boxes, scores, labels = draw_boxes(1200, extent=500, seed=1)
    scores = np.random.default_rng(2).permutation(len(scores)) / len(scores)  # no ties
    ours = rotated_nms(boxes, scores, labels, 0.1)
    theirs = [
        np.flatnonzero(labels == label)[
            nms_rotated(
                torch.tensor(boxes[labels == label]).float(),
                torch.tensor(scores[labels == label]).float(),
                0.1,
            )[1]
        ]
        for label in range(4)
    ]
    assert sorted(ours) == sorted(np.concatenate(theirs))


def test_by_hand() -> None:
    quarter = np.pi / 2
    boxes = np.array(
        [
            [5, 5, 10, 4, 0],
            [5, 5, 4, 10, quarter],  # the same box, turned
            [5, 5, 10, 4, quarter],  # crosses it: IoU 16 / 64
            [10, 5, 10, 4, 0],  # half of it: IoU 20 / 60
            [15, 5, 10, 4, 0],  # touches the first, half of the one before
        ]
    )
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    same, other = np.zeros(5, int), np.array([0, 1, 0, 0, 0])
    assert rotated_nms(boxes, scores, same, 0.3).tolist() == [0, 2, 4]
    assert rotated_nms(boxes, scores, same, 0.2).tolist() == [0, 4]
    assert rotated_nms(boxes, scores, other, 0.3).tolist() == [0, 1, 2, 4]
    assert rotated_nms(boxes, scores[::-1], same, 0.3).tolist() == [4, 2, 1]


def test_the_earlier_of_equal_scores_stays() -> None:
    boxes = np.tile([[50.0, 50, 20, 10, 0.3]], (6, 1))
    assert rotated_nms(boxes, np.full(6, 0.5), np.zeros(6, int), 0.1).tolist() == [0]


def test_none_one_and_empty_boxes() -> None:
    nothing = rotated_nms(np.zeros((0, 5)), np.zeros(0), np.zeros(0, int), 0.1)
    assert nothing.tolist() == []
    flat = np.array([[5.0, 5, 0, 0, 0], [5, 5, 0, 0, 0]])
    assert rotated_nms(flat, np.ones(2), np.zeros(2, int), 0.1).tolist() == [0, 1]


def test_dense_boxes_take_no_square_time() -> None:
    boxes, scores, labels = draw_boxes(20000, extent=8000)
    start = time.process_time()
    rotated_nms(boxes, scores, np.zeros_like(labels), 0.1)
    assert time.process_time() - start < 5  # all with all would take minutes


def test_wrong_input() -> None:
    boxes = np.array([[5.0, np.nan, 4, 4, 0]])
    with pytest.raises(ValueError, match="not finite"):
        rotated_nms(boxes, np.ones(1), np.zeros(1, int), 0.1)
    with pytest.raises(ValueError, match="iou_threshold is 0"):
        rotated_nms(boxes, np.ones(1), np.zeros(1, int), 0)
