"""What :func:`fdam_mm.data.own.inspect` says of a folder."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fdam_mm.data.check.problems import Problem

from .labelled import ClassInfo, LabelledSet, Part, Task


@dataclass(frozen=True)
class PictureFacts:
    """One picture, as the files say it.

    Attributes:
        name, path, split: As in ``LabelledPicture``.
        size: Height and width as it is seen, turned by its orientation; None where it is broken.
        bands: Channels as stored, alpha included.
        depth: Of a channel, as numpy's dtype: "uint8", "uint16", "float32"; "bool" for 1 bit.
        orientation: EXIF's, 1 for upright.
        objects: Labelled in it; segments of a panoptic one, 0 for a label map.
        has_labels: False for a picture that the labels leave out.
    """

    name: str
    path: Path
    split: str | None
    size: tuple[int, int] | None
    bands: int
    depth: str
    orientation: int
    objects: int
    has_labels: bool


@dataclass(frozen=True)
class ClassFacts:
    """One class and how much there is of it.

    Attributes:
        info: Name, value, colour, whether it has single objects.
        pictures: That have some of it.
        objects: 0 for a set of label maps.
        pixels: Of its masks or boxes; overlapping objects count each.
    """

    info: ClassInfo
    pictures: int
    objects: int
    pixels: int

    @property
    def name(self) -> str:
        """The class's name."""
        return self.info.name


@dataclass(frozen=True, eq=False)
class Inspection:
    """All that was found in a folder.

    Attributes:
        labelled: The set itself: its pictures' labels can be read from it.
        pictures: One entry each.
        classes: By label.
        unlabelled_pixels: Of label maps and panoptic PNGs, without a class.
        problems: Everything wrong, one line each.
        object_sides: Square roots of the objects' areas in pixels, in no order; for histograms.
    """

    labelled: LabelledSet
    pictures: tuple[PictureFacts, ...]
    classes: tuple[ClassFacts, ...]
    unlabelled_pixels: int
    problems: tuple[Problem, ...]
    object_sides: tuple[float, ...]

    @property
    def folder(self) -> Path:
        """The folder that was looked at."""
        return self.labelled.folder

    @property
    def format(self) -> str:
        """The name of the format, as ``--format`` takes it."""
        return self.labelled.format

    @property
    def task(self) -> Task:
        """What the labels are for."""
        return self.labelled.task

    @property
    def parts(self) -> tuple[Part, ...]:
        """Where the toolkits read the set as it is; empty where it is to be converted first."""
        return self.labelled.parts

    @property
    def convert_to(self) -> str | None:
        """What ``fdam data convert --to`` takes before a training; None where nothing is to do."""
        if self.parts or self.task == "unlabelled":
            return None
        return {"semantic": "masks", "oriented": "dota"}.get(self.task, "coco")

    @property
    def splits(self) -> dict[str | None, int]:
        """The number of pictures in each split; under None those without one."""
        return dict(Counter(picture.split for picture in self.pictures))

    def to_json(self) -> dict[str, Any]:
        """All of it but the labels themselves, of plain Python values."""
        return dict(
            folder=str(self.folder),
            format=self.format,
            details=self.labelled.details,
            task=self.task,
            convert_to=self.convert_to,
            splits={split or "": count for split, count in self.splits.items()},
            pictures=[
                dict(
                    name=p.name, path=str(p.path), split=p.split, size=p.size and list(p.size),
                    bands=p.bands, depth=p.depth, orientation=p.orientation, objects=p.objects,
                    has_labels=p.has_labels,
                )
                for p in self.pictures
            ],
            classes=[
                dict(
                    name=c.name, value=c.info.value, colour=c.info.colour,
                    is_thing=c.info.is_thing, pictures=c.pictures, objects=c.objects,
                    pixels=c.pixels,
                )
                for c in self.classes
            ],
            unlabelled_pixels=self.unlabelled_pixels,
            problems=[
                dict(path=str(p.path), found=p.found, expected=p.expected) for p in self.problems
            ],
        )  # fmt: skip
