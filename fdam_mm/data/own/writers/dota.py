"""DOTA: ``SPLIT/images`` and ``SPLIT/labelTxt``, as ``fdam data prepare dota`` takes it."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fdam_mm.data.formats.dota import Labels as DotaLabels
from fdam_mm.data.formats.dota import format_labels
from fdam_mm.data.own.labelled import ClassInfo, LabelledObject, Labels, Task
from fdam_mm.data.own.shapes import corners_of
from fdam_mm.errors import PreparationError

from .base import Placed, Writer, objects_of, write_once


class DotaWriter(Writer):
    """Rotated and upright boxes, and polygons of four corners."""

    TASKS = ("oriented", "detection", "instance")
    NAME = "dota"

    def __init__(self, folder: Path, task: Task, classes: Sequence[ClassInfo]) -> None:
        super().__init__(folder, task, classes)
        self._names = names_without_spaces([info.name for info in self.classes], folder)
        for name, info in zip(self._names, self.classes, strict=True):
            if name != info.name:
                self.notes[f"class {info.name!r} is called {name!r}"] += 1

    def image_file(self, placed: Placed) -> Path:
        return self._top(placed) / "images" / f"{_flat(placed)}{placed.suffix}"

    def add(self, placed: Placed, labels: Labels) -> None:
        objects = objects_of(labels)
        corners = [self._corners(found, placed) for found in objects]
        self._note_attributes(objects, ())
        text = format_labels(
            DotaLabels(
                np.array(corners, np.float64).reshape(-1, 4, 2),
                [self._names[found.label] for found in objects],
                [found.difficult for found in objects],
            )
        )
        write_once(self._top(placed) / "labelTxt" / f"{_flat(placed)}.txt", text)

    def _corners(self, found: LabelledObject, placed: Placed) -> np.ndarray:
        if found.crowd:
            raise self._refuse(placed, "a crowd", "leave it out of the source")
        if found.corners is not None:
            return found.corners
        if found.rle is not None or (
            found.polygons and (len(found.polygons) > 1 or len(found.polygons[0]) != 4)
        ):
            remedy = "expected boxes, or polygons of four corners"
            raise self._refuse(placed, "an object with a mask", remedy)
        return found.polygons[0] if found.polygons else corners_of(found.box)

    def _top(self, placed: Placed) -> Path:
        return self.folder / placed.split if placed.split else self.folder


def names_without_spaces(names: Sequence[str], folder: Path) -> list[str]:
    """DOTA's names of classes: lines are divided at spaces.

    Raises:
        PreparationError: Two would be one; ``folder`` is named.
    """
    changed = [re.sub(r"\s+", "-", name.strip()) for name in names]
    if len(set(changed)) < len(changed):
        raise PreparationError(
            f"{folder}: classes whose names differ in spaces alone, expected names that "
            "differ with - in their place, for DOTA's have no spaces"
        )
    return changed


def _flat(placed: Placed) -> str:
    return placed.name.replace("/", "__")
