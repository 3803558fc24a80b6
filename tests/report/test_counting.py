"""Boundaries, confusions and logs, by cases that can be counted by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from fdam_mm.report.boundary import boundary_counts
from fdam_mm.report.confusion import (
    confusion_of_objects,
    confusion_of_pixels,
    f1_of_objects,
    largest_confusions,
)
from fdam_mm.report.log import read_log, thinned
from fdam_mm.report.pictures import extremes, largest_differences
from fdam_mm.training.run_record import command_line


def test_a_boundary_is_a_frame() -> None:
    labels = np.zeros((60, 80), int)  # 2 % of the diagonal of 100 are 2 pixels
    labels[10:30, 10:40] = 1
    both, either = boundary_counts(labels, labels, 3)
    frame = 20 * 30 - 16 * 26
    np.testing.assert_array_equal(both, either)
    assert both[1] == frame
    outer = 60 * 80 - 56 * 76  # the edge of the picture is a boundary
    hole = 24 * 34 - 20 * 30
    assert both[0] == outer + hole and both[2] == 0


def test_a_shifted_boundary() -> None:
    labels, predicted = np.zeros((2, 60, 80), int)
    labels[10:30, 10:40] = 1
    predicted[10:30, 50:70] = 1
    both, either = boundary_counts(labels, predicted, 2)
    assert both[1] == 0
    assert either[1] == (20 * 30 - 16 * 26) + (20 * 20 - 16 * 16)


def test_boundaries_leave_out_what_is_ignored() -> None:
    labels, predicted = np.zeros((2, 20, 20), int)
    labels[:, 10:], predicted[:, 10:] = 255, 1
    both, either = boundary_counts(labels, predicted, 2, labels == 255)
    assert both[0] == either[0] > 0 and either[1] == 0


def test_confusion_of_pixels() -> None:
    counts = confusion_of_pixels(np.array([0, 0, 1, -1, 7]), np.array([0, 1, 1, 0, 0]), 2)
    np.testing.assert_array_equal(counts, [[1, 1], [0, 1]])
    assert largest_confusions(counts) == [(0, 1, 0.5)]


def test_confusion_of_objects() -> None:
    """The same class goes first, also where another overlaps more."""
    overlaps = np.array([[0.9, 0.0], [0.6, 0.0], [0.0, 0.4]])
    counts = confusion_of_objects(overlaps, np.array([0, 1]), np.array([1, 0, 1]), 2)
    np.testing.assert_array_equal(counts, [[1, 0, 0], [0, 0, 1], [0, 2, 0]])
    assert f1_of_objects(counts) == pytest.approx(2 * 1 / (2 + 3))


def test_nothing_to_find() -> None:
    nothing = np.zeros(0, int)
    counts = confusion_of_objects(np.zeros((0, 0)), nothing, nothing, 2)
    assert counts.sum() == 0 and f1_of_objects(counts) == 1


def test_extremes() -> None:
    best, worst = extremes(np.array([0.5, np.nan, 0.1, 0.9, 0.7]), 2)
    assert (best, worst) == ([3, 4], [2, 0])
    assert extremes(np.array([0.5]), 4) == ([], [0])
    assert largest_differences([np.array([0.1, 0.5]), np.array([0.1, 0.9])], 4) == [1]


def test_a_resumed_and_killed_log(tmp_path: Path) -> None:
    """The later of two values counts, and the half of a line is left out."""
    lines = {
        "20250101": [dict(step=1, loss=3.0, lr=0.1, time=1.0), dict(step=2, loss=9.0, lr=0.1)],
        "20250102": [
            dict(step=2, loss=2.0, lr=0.2),
            {"step": 2, "mIoU": 50.0, "c/AP": float("nan")},
        ],
    }
    for name, records in lines.items():
        file = tmp_path / name / "vis_data/scalars.json"
        file.parent.mkdir(parents=True)
        file.write_text("".join(json.dumps(r) + "\n" for r in records) + '{"step": 3, "lo')
    log = read_log(tmp_path)
    assert log.losses == {"loss": {1: 3.0, 2: 2.0}}
    assert log.rates == {"lr": {1: 0.1, 2: 0.2}}
    assert log.metrics == {"mIoU": {2: 50.0}}
    assert thinned({1: 1.0, 2: 3.0, 3: 5.0}, 2) == ([2, 3], [2.0, 5.0])


def test_validations_logged_by_epochs_of_a_training_by_iterations(tmp_path: Path) -> None:
    """Each says step 0, and -1 of objects of a size that is not there."""
    records = [
        dict(step=20, loss=3.0), {"step": 0, "coco/AP": 0.1, "coco/AP_s": -1.0},
        dict(step=40, loss=2.0), {"step": 0, "coco/AP": 0.2, "coco/AP_s": -1.0},
    ]  # fmt: skip
    file = tmp_path / "1/vis_data/scalars.json"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(r) + "\n" for r in records))
    assert read_log(tmp_path).metrics == {"coco/AP": {20: 0.1, 40: 0.2}}


def test_the_command() -> None:
    assert command_line(["fdam train", "my config.py"]) == "fdam train 'my config.py'"
    assert command_line(["tools/train.py", "--amp"]) == "tools/train.py --amp"
