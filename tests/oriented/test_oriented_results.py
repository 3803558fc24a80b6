from pathlib import Path

import numpy as np
import pytest
import torch
from mmrotate.structures.bbox import rbox2qbox

from fdam_mm.errors import ResultsError
from fdam_mm.oriented.boxes import OrientedBoxes
from fdam_mm.oriented.results import (
    OrientedResults,
    SaveOrientedResults,
    load_results,
    save_results,
)

MMROTATES_ORDER = [2, 1, 0, 3]  # it goes round the other way


def some_boxes(count: int, seed: int = 0) -> OrientedBoxes:
    rng = np.random.default_rng(seed)
    boxes = rng.uniform([0, 0, 5, 5, -1.5], [900, 900, 80, 40, 1.5], size=(count, 5))
    return OrientedBoxes(
        boxes.astype(np.float32), rng.random(count).astype(np.float32), rng.integers(2, size=count)
    )


def some_results() -> OrientedResults:
    pictures = {"a": some_boxes(3), "none": some_boxes(0), "b": some_boxes(2, seed=1)}
    return OrientedResults(("ship", "plane"), pictures)


def assert_equal(ours: OrientedResults, theirs: OrientedResults) -> None:
    assert ours.classes == theirs.classes and list(ours.pictures) == list(theirs.pictures)
    for name, found in theirs.pictures.items():
        np.testing.assert_array_equal(ours.pictures[name].boxes, found.boxes)
        np.testing.assert_array_equal(ours.pictures[name].scores, found.scores)
        np.testing.assert_array_equal(ours.pictures[name].labels, found.labels)


def test_round_trip(tmp_path: Path) -> None:
    save_results(tmp_path / "new" / "boxes.npz", some_results())
    assert_equal(load_results(tmp_path / "new" / "boxes.npz"), some_results())
    save_results(tmp_path / "empty.npz", OrientedResults(("ship",), {}))
    assert_equal(load_results(tmp_path / "empty.npz"), OrientedResults(("ship",), {}))


def test_metric_writes_what_a_detector_predicts(tmp_path: Path) -> None:
    metric = SaveOrientedResults(str(tmp_path / "boxes.npz"))
    metric.dataset_meta = dict(classes=("ship", "plane"))
    for name, found in some_results().pictures.items():
        instances = dict(
            bboxes=torch.from_numpy(found.boxes),
            scores=torch.from_numpy(found.scores),
            labels=torch.from_numpy(found.labels),
        )
        metric.process(None, [dict(img_id=name, pred_instances=instances)])
    assert metric.evaluate(3) == {}
    assert_equal(load_results(tmp_path / "boxes.npz"), some_results())


def test_corners_are_mmrotates() -> None:
    found = some_boxes(50)
    theirs = rbox2qbox(torch.from_numpy(found.boxes).double()).reshape(-1, 4, 2)
    np.testing.assert_allclose(found.corners(), theirs[:, MMROTATES_ORDER], atol=1e-4)
    by_hand = OrientedBoxes(np.array([[10, 20, 6, 2, np.pi / 2]]), np.ones(1), np.zeros(1, int))
    np.testing.assert_allclose(by_hand.corners()[0], [[11, 17], [11, 23], [9, 23], [9, 17]])


def damaged(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    arrays = dict(
        classes=np.array(["ship"]),
        images=np.array(["a"]),
        counts=np.array([1]),
        boxes=np.ones((1, 5), np.float32),
        scores=np.ones(1, np.float32),
        labels=np.zeros(1, np.int32),
    )
    return {**arrays, name: values}


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("boxes", np.ones((1, 4), np.float32), "is damaged"),
        ("counts", np.array([2]), "is damaged"),
        ("counts", np.array([1, 0]), "is damaged"),
        ("scores", np.array(["high"]), "is damaged"),
        ("labels", np.ones(1, np.int32), r"has label 1, expected 0\.\.0"),
        ("boxes", np.full((1, 5), np.nan, np.float32), "not finite"),
        ("images", np.array([{"a": 1}], object), "holds no rotated boxes"),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, values: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "boxes.npz", **damaged(name, values))
    with pytest.raises(ResultsError, match=message):
        load_results(tmp_path / "boxes.npz")


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "array.npy", np.ones(3))
    save_results(tmp_path / "cut.npz", some_results())
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:300])
    for name in ("text.npz", "array.npy", "cut.npz"):
        with pytest.raises(ResultsError, match=f"{name} holds no rotated boxes"):
            load_results(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        load_results(tmp_path / "missing.npz")
