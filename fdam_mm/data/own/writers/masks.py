"""Label maps for mmseg: ``annotations/SPLIT/NAME.png``, 0 to n - 1 and 255 for no label."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from fdam_mm.data.own.labelled import (
    ClassInfo,
    Labels,
    ObjectLabels,
    PanopticLabels,
    SemanticLabels,
    Task,
)
from fdam_mm.data.own.shapes import area_of, mask_of
from fdam_mm.errors import PreparationError

from .base import Placed, Writer, write_once

IGNORED = 255
_BACKGROUND = "background"


class MaskWriter(Writer):
    """Of label maps, of panoptic segments less their numbers, of objects with masks.

    Objects stand on a class "background", the smaller over the larger; the pixels of crowds have
    no label.
    """

    TASKS = ("semantic", "panoptic", "instance")
    NAME = "masks"

    def __init__(self, folder: Path, task: Task, classes: Sequence[ClassInfo]) -> None:
        if task == "instance" and _BACKGROUND not in [info.name for info in classes]:
            classes = [ClassInfo(_BACKGROUND, is_thing=False), *classes]
            self._shift = 1
        else:
            self._shift = 0
        super().__init__(folder, task, classes)
        if len(self.classes) > IGNORED:
            raise PreparationError(
                f"{len(self.classes)} classes, expected at most {IGNORED}: mmseg's label maps are "
                "of bytes"
            )

    def add(self, placed: Placed, labels: Labels) -> None:
        split = (placed.split,) if placed.split else ()
        file = self.folder.joinpath("annotations", *split, f"{placed.name}.png")
        values = self._values(placed, labels)
        pixels = np.where(values < 0, IGNORED, values).astype(np.uint8)
        if pixels.shape != placed.size:
            raise PreparationError(
                f"{placed.name}: labels of {pixels.shape[0]} x {pixels.shape[1]} for a picture of "
                f"{placed.size[0]} x {placed.size[1]}, expected one size"
            )
        write_once(file, cv2.imencode(".png", pixels)[1].tobytes())

    def finish(self) -> None:
        entries = [
            dict(value=label, name=info.name) | (dict(color=info.colour) if info.colour else {})
            for label, info in enumerate(self.classes)
        ]
        rows = ",\n ".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
        write_once(self.folder / "classes.json", f"[{rows}]\n")

    def _values(self, placed: Placed, labels: Labels) -> np.ndarray:
        """(H, W) labels, -1 without one."""
        if isinstance(labels, SemanticLabels):
            return labels.labels
        if isinstance(labels, PanopticLabels):
            self.notes["segments as regions of their class"] += len(labels.segments)
            numbers = np.array([0, *(s.id for s in labels.segments)])
            classes = np.array([-1, *(s.label for s in labels.segments)])
            order = np.argsort(numbers)
            return classes[order][np.searchsorted(numbers[order], labels.ids)]
        return self._of_objects(placed, labels)

    def _of_objects(self, placed: Placed, labels: ObjectLabels) -> np.ndarray:
        background = [info.name for info in self.classes].index(_BACKGROUND)
        values = np.full(placed.size, background, np.int32)
        taken = np.zeros(placed.size, bool)
        for found in sorted(labels.objects, key=lambda o: -area_of(o, placed.size)):
            if found.rle is None and not found.polygons:
                raise self._refuse(placed, "an object with a box alone", "give it a mask")
            placed_mask = mask_of(found, placed.size)
            if placed_mask is None:
                self.notes["objects without a pixel"] += 1
                continue
            mask, (left, top) = placed_mask
            where = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
            shared = int(taken[where][mask].sum())
            if shared:
                self.notes["pixels of several objects, given to the smallest"] += shared
            values[where][mask] = -1 if found.crowd else found.label + self._shift
            taken[where] |= mask
            self.notes["objects as regions of their class"] += 1
        return values
