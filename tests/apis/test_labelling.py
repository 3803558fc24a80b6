"""Predictions are read back as labels."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from fdam_mm.apis.inputs import FilePicture
from fdam_mm.apis.labelling import outlines, save_labels
from fdam_mm.apis.results import (
    InstanceResult,
    OrientedResult,
    PanopticResult,
    SegmentationResult,
)
from fdam_mm.apis.results.panoptic import Segment
from fdam_mm.data.own import ObjectLabels, inspect
from fdam_mm.errors import PreparationError, UsageError
from fdam_mm.oriented.boxes import OrientedBoxes

CLASSES, PALETTE = ("fig", "nut"), ((255, 0, 0), (0, 0, 255))
SIZE = (60, 80)


@pytest.fixture
def pictures(tmp_path: Path) -> list[FilePicture]:
    found = []
    for name in "ab":
        file = tmp_path / f"photos/{name}.jpg"
        file.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(file), np.full((*SIZE, 3), 90, np.uint8))
        found.append(FilePicture(name, file))
    return found


def instances(picture: FilePicture, with_masks: bool = True) -> InstanceResult:
    masks = np.zeros((2, *SIZE), np.uint8)
    cv2.circle(masks[0], (20, 20), 12, 1, -1)
    masks[1, 30:50, 40:70] = 1
    masks[1, 55:58, 3:9] = 1  # a second part
    rles = [coco_mask.encode(np.asfortranarray(mask)) for mask in masks]
    boxes = np.array([[8, 8, 33, 33], [3, 30, 70, 58]], np.float32)
    scores, labels = np.array([0.9, 0.8], np.float32), np.array([1, 0])
    return InstanceResult(
        picture, CLASSES, PALETTE, None, boxes, scores, labels, rles if with_masks else None
    )


@pytest.mark.parametrize("to", ["coco", "yolo", "labelme"])
@pytest.mark.parametrize("with_masks", [True, False], ids=["masks", "boxes"])
def test_instances(to: str, with_masks: bool, pictures: list[FilePicture], tmp_path: Path) -> None:
    results = (instances(picture, with_masks) for picture in pictures)
    count, notes = save_labels(results, tmp_path / "out", to)
    found = inspect(tmp_path / "out")
    assert (count, found.format, found.problems) == (2, to, ())
    assert found.task == ("instance" if with_masks else "detection")
    assert {c.name: c.objects for c in found.classes} == {"fig": 2, "nut": 2}
    assert bool(notes) == (to == "yolo")  # which holds no scores
    labels = found.labelled.read(found.labelled.pictures[0])
    assert isinstance(labels, ObjectLabels)
    if with_masks:
        nut = next(c for c in found.classes if c.name == "nut")
        area = coco_mask.area(instances(pictures[0]).rles[0])
        assert abs(nut.pixels / 2 / area - 1) < 0.06
    if to == "coco":
        assert labels.objects[0].attributes["score"] == pytest.approx(0.9)


def test_outlines_follow_the_edges() -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[30:50, 40:70] = 1
    (points,) = outlines(mask)
    assert np.abs([*points.min(0), *points.max(0)] - np.array([40, 30, 70, 50])).max() <= 0.25
    assert outlines(np.zeros(SIZE, np.uint8)) == []


def test_the_other_tasks(pictures: list[FilePicture], tmp_path: Path) -> None:
    labels = np.zeros(SIZE, np.uint8)
    labels[:20] = 1
    boxes = OrientedBoxes(
        np.array([[40, 30, 20, 10, 0.5]]), np.array([0.7]), np.array([1], np.int64)
    )
    ids = np.where(labels == 1, 7, 300).astype(np.int32)
    segments = (Segment(7, 1, True), Segment(300, 0, False))
    first = (pictures[0], CLASSES, PALETTE, None)
    for to, result, task in (
        ("masks", SegmentationResult(*first, labels), "semantic"),
        ("dota", OrientedResult(*first, boxes), "oriented"),
        ("yolo", OrientedResult(*first, boxes), "oriented"),
        ("coco", PanopticResult(*first, ids, segments, frozenset([1])), "panoptic"),
        ("masks", PanopticResult(*first, ids, segments, frozenset([1])), "semantic"),
    ):
        folder = tmp_path / f"{to}_{task}_{type(result).__name__}"
        save_labels([result], folder, to)
        found = inspect(folder)
        nut = next(c for c in found.classes if c.name == "nut")
        assert (found.task, nut.pictures) == (task, 1)
        assert nut.pixels == (200 if task == "oriented" else 20 * 80)
        if task == "panoptic":
            assert [c.info.is_thing for c in found.classes] == [False, True]


def test_a_class_that_was_not_found_stays_a_thing(
    pictures: list[FilePicture], tmp_path: Path
) -> None:
    ids = np.full(SIZE, 5, np.int32)
    result = PanopticResult(
        pictures[0], CLASSES, PALETTE, None, ids, (Segment(5, 0, False),), frozenset([1])
    )
    save_labels([result], tmp_path / "out", "coco")
    written = json.loads(next((tmp_path / "out").rglob("*.json")).read_text())
    assert [c["isthing"] for c in written["categories"]] == [0, 1]
    assert [c["isthing"] for c in result.to_coco()["categories"]] == [0, 1]


def test_refusals(pictures: list[FilePicture], tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="coco cannot hold label maps"):
        result = SegmentationResult(pictures[0], CLASSES, PALETTE, None, np.zeros(SIZE, np.uint8))
        save_labels([result], tmp_path / "out", "coco")
    with pytest.raises(UsageError, match="not empty"):
        save_labels([], tmp_path / "photos", "coco")
