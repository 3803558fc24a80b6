"""Look at a folder: what is there, and everything wrong with it."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from fdam_mm.data.check.coco_json import entry_problems
from fdam_mm.data.check.objects import Masks, loader_faults, mask_faults
from fdam_mm.data.check.problems import Problem, Progress, shorten, size_text, whole_size
from fdam_mm.data.pictures.header import Header, read_header
from fdam_mm.data.pictures.rasters import raster_size
from fdam_mm.data.prepare.dota_patches import polygons, shares_shown
from fdam_mm.errors import DataError, PictureError

from .folder import Folder
from .inspection import ClassFacts, Inspection, PictureFacts
from .labelled import (
    LabelledObject,
    LabelledPicture,
    LabelledSet,
    Labels,
    PanopticLabels,
    SemanticLabels,
)
from .registry import open_labelled
from .shapes import area_of

_LEAST_SHARE = 0.5  # of a rotated box on its picture, as check_data asks for
UNLABELLED = "a picture without labels, which is left out"
_MOST_NAMED = 8  # faults of one picture that are named


def inspect(
    folder: str | Path,
    format: str | None = None,
    check: bool = True,
    progress: Progress = iter,
) -> Inspection:
    """Say what a folder of pictures and labels holds.

    Args:
        folder: Its root.
        format: One of :data:`fdam_mm.data.own.READERS`; None finds it.
        check: Also decode every picture and apply the rules of ``check_data`` to every label;
            else headers and labels are read alone.
        progress: Wraps the list of pictures (``tqdm`` fits).

    Raises:
        MissingFileError: There is no such folder.
        LayoutError: It is of no format that we read, or of several; says what was looked for.
        LabelError: A file that says what the classes are is broken.
    """
    labelled = open_labelled(folder, format)
    counts = _Counts(labelled)
    problems = list(labelled.problems)
    facts = []
    for picture in progress(list(labelled.pictures)):
        facts.append(_look_at(picture, labelled, counts, problems, check))
    if check:
        problems += _of_json(labelled, progress)
        problems += _of_the_whole(labelled, facts, counts)
    known = {str(problem): problem for problem in problems}
    return Inspection(
        labelled, tuple(facts), counts.classes(), counts.pixels[-1], tuple(known.values()),
        tuple(counts.sides),
    )  # fmt: skip


@dataclass
class _Counts:
    """How much there is of each class."""

    labelled: LabelledSet
    pictures: Counter = field(default_factory=Counter)
    objects: Counter = field(default_factory=Counter)
    pixels: Counter = field(default_factory=Counter)
    sides: list[float] = field(default_factory=list)

    def add(self, labels: Labels, size: tuple[int, int]) -> int:
        """Count one picture's labels; returns its number of objects."""
        if isinstance(labels, SemanticLabels):
            self.add_pixels(_count(labels.labels))
            return 0
        if isinstance(labels, PanopticLabels):
            areas = _count(labels.ids)
            for segment in labels.segments:
                self._add_object(segment.label, areas[segment.id])
            self.pixels[-1] += areas[0]
            self.pictures.update({segment.label for segment in labels.segments})
            return len(labels.segments)
        for found in labels.objects:
            self._add_object(found.label, area_of(found, size))
        self.pictures.update({found.label for found in labels.objects})
        return len(labels.objects)

    def add_pixels(self, pixels: Counter) -> None:
        """Count a label map of which the pixels of each label are known."""
        self.pixels.update(pixels)
        self.pictures.update({label for label in pixels if label >= 0})

    def _add_object(self, label: int, area: float) -> None:
        self.objects[label] += 1
        self.pixels[label] += round(area)
        self.sides.append(math.sqrt(max(area, 0)))

    def classes(self) -> tuple[ClassFacts, ...]:
        """The figures of each class."""
        return tuple(
            ClassFacts(info, self.pictures[label], self.objects[label], self.pixels[label])
            for label, info in enumerate(self.labelled.classes)
        )


def _count(values: np.ndarray) -> Counter:
    found, numbers = np.unique(values, return_counts=True)
    return Counter(dict(zip(found.tolist(), numbers.tolist(), strict=True)))


def _look_at(
    picture: LabelledPicture,
    labelled: LabelledSet,
    counts: _Counts,
    problems: list[Problem],
    check: bool,
) -> PictureFacts:
    """One picture: its facts, counts of its labels, and what is wrong with both."""
    header: Header | None = None
    objects, has_labels = 0, picture.label_file is not None
    try:
        header = read_header(picture.image)
        if check and not labelled.format.startswith("coco"):  # the rules for COCO decode it
            _decode(picture.image, header)
    except PictureError as error:
        problems.append(_problem(error, picture.image))
    is_yolo_background = labelled.format == "yolo" and not has_labels
    if labelled.task != "unlabelled" and not has_labels and not is_yolo_background:
        problems.append(Problem(picture.image, UNLABELLED, "labels, or the picture elsewhere"))
    elif labelled.task != "unlabelled" and header is not None:
        try:
            if picture.pixels is not None and not check:
                counts.add_pixels(picture.pixels)
            else:
                labels = labelled.read(picture)
                objects = counts.add(labels, header.size)
                if check:
                    problems += _faults(picture, labels, labelled, header)
        except DataError as error:
            problems.append(_problem(error, picture.label_file or picture.image))
    size = None if header is None else (header.size.height, header.size.width)
    return PictureFacts(
        picture.name, picture.image, picture.split, size,
        0 if header is None else header.bands, "" if header is None else header.depth,
        1 if header is None else header.orientation, objects, has_labels,
    )  # fmt: skip


def _decode(file: Path, header: Header) -> None:
    """See that a picture is whole. Raises PictureError where it is not."""
    plain = header.bands in (1, 3, 4) and header.depth in ("bool", "uint8", "uint16")
    if plain or file.suffix.lower() not in (".tif", ".tiff"):
        whole_size(file)
        return
    raster_size(file)


def _problem(error: DataError, file: Path) -> Problem:
    """An error as a problem of a file: its message has "FILE: found, expected what"."""
    found, _, expected = str(error).rpartition(", expected ")
    return Problem(file, (found or expected).removeprefix(f"{file}: "), expected)


def _faults(
    picture: LabelledPicture, labels: Labels, labelled: LabelledSet, header: Header
) -> Iterator[Problem]:
    file = picture.label_file or picture.image
    size = header.size.height, header.size.width
    if isinstance(labels, SemanticLabels | PanopticLabels):
        shape = (labels.labels if isinstance(labels, SemanticLabels) else labels.ids).shape
        if shape != size:
            found = f"labels of a picture {size_text(shape)}"
            yield Problem(file, found, f"{size_text(size)} like {picture.image}")
        return
    if labelled.format == "coco":
        return
    faults: list[Problem] = []
    for number, labelled_object in enumerate(labels.objects, start=1):
        name = f"{picture.name}: object {number}:"
        listed = list(_object_faults(labelled_object, size, labelled))
        faults += entry_problems(file, name, listed)
    yield from faults[:_MOST_NAMED]
    if len(faults) > _MOST_NAMED:
        text = f"{len(faults) - _MOST_NAMED} more objects of {picture.name} with such faults"
        yield Problem(file, text, "them as above")


def _object_faults(
    found: LabelledObject, size: tuple[int, int], labelled: LabelledSet
) -> Iterator[tuple[str, str]]:
    """What the toolkits' loaders would drop or stop at, were it an entry of COCO's or DOTA's."""
    height, width = size
    if labelled.task == "oriented" and found.corners is not None:
        shape = polygons(found.corners[None])
        if shapely.area(shape)[0] == 0:
            yield "corners on one line", "a box with an area"
            return
        share = shares_shown(shape, shapely.box(0, 0, width, height))[0]
        if share < _LEAST_SHARE:
            text = f"a box with {share:.0%} of its area on the picture of {width} x {height}"
            yield text, f"at least {_LEAST_SHARE:.0%}"
        return
    left, top, right, bottom = found.box
    entry: dict[str, Any] = dict(
        bbox=[left, top, right - left, bottom - top], area=area_of(found, size)
    )
    image = dict(height=height, width=width)
    yield from loader_faults(entry, image, ())
    if found.polygons:
        entry["segmentation"] = [polygon.ravel().tolist() for polygon in found.polygons]
        yield from mask_faults(entry, image, Masks.ANY)


def _of_json(labelled: LabelledSet, progress: Progress) -> list[Problem]:
    """What ``check_data`` says of the JSONs of COCO."""
    if not labelled.format.startswith("coco"):
        return []
    from fdam_mm.data.check.instances import InstanceSet
    from fdam_mm.data.check.objects import Masks
    from fdam_mm.data.check.panoptic import PanopticSet
    from fdam_mm.data.check.reading import Reading

    names = tuple(info.name for info in labelled.classes)
    things = tuple(info.name for info in labelled.classes if info.is_thing)
    found: list[Problem] = []
    for part in labelled.parts:
        if part.segments is not None:
            data: Any = PanopticSet(part.images, part.segments, part.labels, names, things=things)
        else:
            masks = Masks.ANY if labelled.task == "instance" else Masks.NONE
            data = InstanceSet(part.images, part.labels, names, Reading(masks=masks))
        found += data.check(progress).problems
    return found


def _of_the_whole(
    labelled: LabelledSet, facts: list[PictureFacts], counts: _Counts
) -> Iterator[Problem]:
    """Classes of which there is nothing, and pictures that are of several kinds."""
    lacking = [c.name for c in counts.classes() if not c.pictures]
    is_own = labelled.format not in ("dota", "coco-panoptic", "voc-masks")
    if lacking and is_own and labelled.task != "unlabelled":
        found = f"classes of which no picture has any: {shorten(lacking)}"
        yield Problem(labelled.folder, found, "some of each, or the list without them")
    kinds = Counter((fact.bands, fact.depth) for fact in facts if fact.size)
    if len(kinds) > 1:
        text = ", ".join(f"{n} of {bands} x {depth}" for (bands, depth), n in kinds.most_common(5))
        if len({bands if bands > 4 else 3 for bands, _ in kinds}) > 1:
            yield Problem(labelled.folder, f"pictures of several kinds: {text}", "one kind")
    known = {picture.image for picture in labelled.pictures}
    labels = {picture.label_file for picture in labelled.pictures}
    if labelled.format in ("coco", "coco-panoptic", "cvat"):
        listed = Folder.open(labelled.folder)
        folders = {image.parent for image in known}
        others = [
            str(file)
            for file in listed.pictures
            if listed.path(file) not in known | labels and listed.path(file).parent in folders
        ]
        if others:
            text = f"{len(others)} pictures without labels, which are left out: {shorten(others)}"
            yield Problem(labelled.folder, text, "each picture in the labels, or elsewhere")
