"""What all writers share."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fdam_mm.data.own.labelled import ClassInfo, LabelledObject, Labels, ObjectLabels, Task
from fdam_mm.errors import PreparationError
from fdam_mm.files import write_atomically

_WHAT: dict[Task, str] = {
    "semantic": "label maps",
    "instance": "objects with masks",
    "detection": "boxes",
    "oriented": "rotated boxes",
    "panoptic": "panoptic segments",
    "unlabelled": "pictures without labels",
}


@dataclass(frozen=True)
class Placed:
    """A picture in the new set.

    Attributes:
        name: Its path below the folder of its split, less the suffix; no other has it.
        suffix: Of the file, such as ".jpg".
        split: "train", "val" or "test"; None without one.
        size: Height and width as it is seen.
        attributes: What else is said of it.
    """

    name: str
    suffix: str
    split: str | None
    size: tuple[int, int]
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Writer(ABC):
    """Writes one set.

    Args:
        folder: Of the new set.
        task: Of the labels that come.
        classes: By label.

    Attributes:
        notes: How many of what are not as they were, by what is said of it.

    Raises:
        PreparationError: The format cannot hold labels of this task.
    """

    TASKS: tuple[Task, ...]
    NAME: str

    def __init__(self, folder: Path, task: Task, classes: Sequence[ClassInfo]) -> None:
        self.folder, self.task, self.classes = folder, task, tuple(classes)
        self.notes = Counter[str]()
        if task not in self.TASKS:
            raise PreparationError(
                f"{self.NAME} cannot hold {_WHAT[task]}, expected "
                + " or ".join(_WHAT[kind] for kind in self.TASKS)
            )

    def image_file(self, placed: Placed) -> Path:
        """Where a picture belongs in the new set."""
        split = (placed.split,) if placed.split else ()
        return self.folder.joinpath("images", *split, placed.name + placed.suffix)

    @abstractmethod
    def add(self, placed: Placed, labels: Labels) -> None:
        """Write or take in one picture's labels.

        Raises:
            PreparationError: The format cannot hold something of them.
        """

    def finish(self) -> None:  # noqa: B027  (most have nothing to do)
        """Write what belongs to the whole set."""

    def take_in(self, attributes: Mapping[str, Any]) -> None:
        """What is said of the whole set; counts what cannot be kept, of the classes too."""
        for key in attributes:
            self.notes[f"{key!r} of the set, left out"] += 1
        groups = sum(info.group is not None for info in self.classes)
        self.notes["classes whose 'supercategory' is left out"] += groups

    def note_left_out(self, placed: Placed) -> None:
        """Count what is said of a picture and cannot be kept."""
        for key in placed.attributes:
            self.notes[f"pictures whose {key!r} is left out"] += 1

    def _refuse(self, placed: Placed, what: str, remedy: str) -> PreparationError:
        return PreparationError(f"{placed.name}: {what}, which {self.NAME} cannot hold; {remedy}")

    def _note_attributes(self, objects: Sequence[LabelledObject], kept: Sequence[str]) -> None:
        """Count what is said of objects and cannot be kept; ids and areas are made anew."""
        for found in objects:
            for key in found.attributes.keys() - {"id", "area", *kept}:
                self.notes[f"objects whose {key!r} is left out"] += 1


def objects_of(labels: Labels) -> tuple[LabelledObject, ...]:
    """The objects of a picture of a task that has some."""
    assert isinstance(labels, ObjectLabels)
    return labels.objects


def write_once(file: Path, data: bytes | str) -> None:
    """Write a file that is not there; one that is stays."""
    if not file.exists():
        write_atomically(file, data)
