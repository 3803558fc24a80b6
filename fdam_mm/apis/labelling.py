"""Predictions as a labelled set, to be corrected and learnt from: pictures beside labels."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from fdam_mm.data.own.converting import link, new_writer
from fdam_mm.data.own.labelled import (
    ClassInfo,
    LabelledObject,
    Labels,
    ObjectLabels,
    PanopticLabels,
    PanopticSegment,
    SemanticLabels,
    Task,
)
from fdam_mm.data.own.shapes import box_of
from fdam_mm.data.own.writers import Placed, Writer
from fdam_mm.errors import UsageError
from fdam_mm.files import require_new_folder

from .results import InstanceResult, OrientedResult, PanopticResult, Result, SegmentationResult

_OUTLINED = ("yolo", "labelme")  # where masks become polygons, which people can move


def save_labels(results: Iterable[Result], folder: str | Path, to: str) -> tuple[int, list[str]]:
    """Write predictions as a labelled set, which :func:`fdam_mm.data.own.inspect` reads.

    Args:
        results: Of pictures in files.
        folder: New or empty.
        to: "coco" (instances, boxes, panoptic), "yolo" or "labelme" (instances and boxes, masks as
            outlines), "masks" (semantic and panoptic segmentation), "dota" (rotated boxes).

    Returns:
        The number of pictures, and notes on what is not as the model said it.

    Raises:
        UsageError: A picture is no file, or ``folder`` is not empty.
        PreparationError: The format cannot hold what the model predicts.
    """
    folder = Path(folder)
    require_new_folder(folder, "folder")
    writer: Writer | None = None
    count = 0
    for result in results:
        if result.picture.path is None:
            raise UsageError(f"{result.name} is no file: labels are written beside pictures")
        if writer is None:
            writer = new_writer(_task(result), _classes(result), folder, to)
        placed = Placed(result.name, result.picture.path.suffix, None, result.size)
        link(result.picture.path, writer.image_file(placed))
        writer.add(placed, _labels(result, to))
        count += 1
    if writer is None:
        return 0, []
    writer.finish()
    return count, [f"{number} {note}" for note, number in writer.notes.items() if number]


def _task(result: Result) -> Task:
    if isinstance(result, SegmentationResult):
        return "semantic"
    if isinstance(result, PanopticResult):
        return "panoptic"
    if isinstance(result, OrientedResult):
        return "oriented"
    assert isinstance(result, InstanceResult)
    return "detection" if result.rles is None else "instance"


def _classes(result: Result) -> Sequence[ClassInfo]:
    def is_thing(label: int) -> bool:
        return not isinstance(result, PanopticResult) or result.is_thing(label)

    return [
        ClassInfo(name, label, (int(red), int(green), int(blue)), is_thing(label))
        for label, (name, (red, green, blue)) in enumerate(
            zip(result.classes, result.palette, strict=True)
        )
    ]


def _labels(result: Result, to: str) -> Labels:
    if isinstance(result, SegmentationResult):
        return SemanticLabels(result.labels.astype(np.int32))
    if isinstance(result, PanopticResult):
        segments = (PanopticSegment(s.id, s.label) for s in result.segments)
        return PanopticLabels(result.ids, tuple(segments))
    if isinstance(result, OrientedResult):
        found = result.objects
        return ObjectLabels(
            tuple(
                LabelledObject(
                    int(label), box_of(corners), corners=corners.astype(np.float64),
                    attributes=dict(score=float(score)),
                )
                for corners, label, score in zip(
                    found.corners(), found.labels, found.scores, strict=True
                )
            )
        )  # fmt: skip
    assert isinstance(result, InstanceResult)
    return ObjectLabels(tuple(_object(result, index, to) for index in range(len(result))))


def _object(result: InstanceResult, index: int, to: str) -> LabelledObject:
    left, top, right, bottom = result.boxes[index].astype(float).tolist()
    found = LabelledObject(
        int(result.labels[index]), (left, top, right, bottom),
        attributes=dict(score=float(result.scores[index])),
    )  # fmt: skip
    if result.rles is None:
        return found
    if to not in _OUTLINED:
        return replace(found, rle=dict(result.rles[index]))
    parts = outlines(coco_mask.decode(result.rles[index]))
    if not parts:  # a mask of no pixel
        parts = [np.array([[left, top], [right, top], [right, bottom], [left, bottom]])]
    if to == "yolo":  # which has one part for each object: the largest
        parts = parts[:1]
    return replace(found, polygons=tuple(parts))


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """The outer outlines (n, 2) of a mask (H, W), x and y, the largest first.

    They run within a pixel of its edges, with few points; holes are filled.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return []
    top, left = rows[0], columns[0]
    window = mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8)
    fine = window.repeat(2, 0).repeat(2, 1)  # an outline runs through the centres of pixels
    found, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = sorted(found, key=cv2.contourArea, reverse=True)
    simple = [cv2.approxPolyDP(outline, 1, True)[:, 0] for outline in found]
    return [points / 2 + 0.25 + [left, top] for points in simple if len(points) > 2]
