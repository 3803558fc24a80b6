"""From one format to another: pictures are linked, labels written, and all is read back."""

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fdam_mm.data.check.problems import Progress
from fdam_mm.data.pictures.header import read_header
from fdam_mm.errors import PreparationError, UsageError
from fdam_mm.files import atomic_file

from .claiming import claim
from .inspecting import UNLABELLED, inspect
from .inspection import Inspection
from .labelled import ClassInfo, LabelledPicture, LabelledSet, Task
from .registry import open_labelled
from .writers import (
    CocoWriter,
    DotaWriter,
    LabelmeWriter,
    MaskWriter,
    PanopticWriter,
    Placed,
    Writer,
    YoloWriter,
)

_MARK = ".fdam_convert.json"
"""In a new set: which source it is of, so that the same command goes on with it."""

_WRITERS: Mapping[str, type[Writer]] = {
    "coco": CocoWriter, "masks": MaskWriter, "dota": DotaWriter, "yolo": YoloWriter,
    "labelme": LabelmeWriter,
}  # fmt: skip
TARGETS = tuple(_WRITERS)


@dataclass(frozen=True, eq=False)
class Conversion:
    """What a conversion did.

    Attributes:
        before, after: The two sets, as :func:`inspect` reads them.
        notes: What is not as it was, and how often.
        copied: Pictures that could not be linked.
    """

    before: Inspection
    after: Inspection
    notes: Mapping[str, int]
    copied: int


def convert(
    source: str | Path,
    target: str | Path,
    to: str,
    format: str | None = None,
    progress: Progress = iter,
) -> Conversion:
    """Write a labelled set in another format.

    Nothing is overwritten; an interrupted conversion goes on where the same call is made again.

    Args:
        source: Folder of the set.
        target: New folder.
        to: One of :data:`TARGETS`.
        format: Of the source; None finds it.
        progress: Wraps the list of pictures.

    Raises:
        PreparationError: The format cannot hold the labels, or what was written does not read as
            what was there.
        UsageError: ``target`` is something else, or in ``source``.
        DataError: The source is broken: ``fdam data inspect`` names all of it.
    """
    source, target = Path(source), Path(target)
    if to not in _WRITERS:
        raise UsageError(f"--to {to}, expected one of {', '.join(TARGETS)}")
    labelled = open_labelled(source, format)
    before = inspect(source, labelled.format, check=False)
    wrong = [p for p in before.problems if not p.found.startswith(UNLABELLED)]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise PreparationError(f"{wrong[0]}{more}; mend them first (fdam data inspect {source})")
    writer = new_writer(labelled.task, labelled.classes, target, to)
    _mark(source, target, dict(format=labelled.format, to=to))
    writer.take_in(labelled.attributes)
    copied = 0
    for picture, placed in progress(places(labelled)):
        if picture.label_file is None and labelled.format != "yolo":  # whose have no objects
            writer.notes["pictures without labels, left out"] += 1
            continue
        copied += link(picture.image, writer.image_file(placed))
        writer.add(placed, labelled.read(picture))
        writer.note_left_out(placed)
    writer.finish()
    after = inspect(target, _FORMAT_OF.get(type(writer), to), check=False)
    _compare(before, after, writer)
    return Conversion(before, after, {k: n for k, n in writer.notes.items() if n}, copied)


_FORMAT_OF: Mapping[type[Writer], str] = {PanopticWriter: "coco-panoptic"}


def new_writer(task: Task, classes: Sequence[ClassInfo], target: Path, to: str) -> Writer:
    """The writer of a format for a task. Raises PreparationError where it cannot hold it."""
    kind = PanopticWriter if to == "coco" and task == "panoptic" else _WRITERS[to]
    return kind(target, task, classes)


def places(labelled: LabelledSet) -> list[tuple[LabelledPicture, Placed]]:
    """Each picture with its place in a new set; those of one name get their suffix into it."""
    counts = Counter((picture.split, picture.name) for picture in labelled.pictures)
    found, used = [], set()
    for picture in labelled.pictures:
        name, suffix = picture.name, picture.image.suffix
        if counts[picture.split, name] > 1:
            name = f"{name}_{suffix[1:]}"
        number, unique = 1, name
        while (picture.split, unique) in used:
            number += 1
            unique = f"{name}_{number}"
        used.add((picture.split, unique))
        size = read_header(picture.image).size
        hw = size.height, size.width
        placed = Placed(unique, suffix, picture.split, hw, picture.attributes)
        found.append((picture, placed))
    return found


def link(file: Path, place: Path) -> bool:
    """Link a picture to its place, or copy it where links cannot be; returns whether it copied.

    Raises:
        PreparationError: Something else is there.
    """
    wanted = os.path.abspath(file)
    if os.path.lexists(place):
        if place.exists() and os.path.samefile(place, wanted):
            return False
        if place.is_file() and not place.is_symlink() and _same(place, file):
            return True
        raise PreparationError(f"{place} is there and is not {file}; name a new folder")
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.symlink(wanted, place)
        return False
    except (OSError, NotImplementedError):  # a file system without links, Windows
        with atomic_file(place) as copy, file.open("rb") as original:
            shutil.copyfileobj(original, copy)
        return True


def _same(copy: Path, original: Path) -> bool:
    return copy.stat().st_size == original.stat().st_size


def _mark(source: Path, target: Path, settings: dict[str, str]) -> None:
    """Claim the new folder. Raises UsageError where it is something else."""
    inside = target.absolute().resolve()
    if source.resolve() in (inside, *inside.parents):
        raise UsageError(f"{target} is in {source}: its labels would be found twice; name another")
    claim(target, _MARK, {"source": str(source.resolve()), **settings})


def _compare(before: Inspection, after: Inspection, writer: Writer) -> None:
    """See that as much can be read as there was.

    Raises:
        PreparationError: It is not; names the first figure that differs.
    """
    left_out = writer.notes["pictures without labels, left out"]
    rows = [("pictures", len(before.pictures) - left_out, len(after.pictures))]
    old = {c.name: c for c in before.classes}
    new = {c.name: c for c in after.classes}
    if isinstance(writer, DotaWriter):
        old = {"-".join(name.split()): c for name, c in old.items()}
    if writer.task in ("semantic", "panoptic"):
        rows += [(f"pixels of {n}", c.pixels, _of(new, n, "pixels")) for n, c in old.items()]
    if not isinstance(writer, MaskWriter):
        rows += [(f"objects of {n}", c.objects, _of(new, n, "objects")) for n, c in old.items()]
    wrong = [row for row in rows if row[1] != row[2]]
    if wrong:
        what, was, found = wrong[0]
        raise PreparationError(
            f"{writer.folder} holds {found} {what}, expected {was} as {before.folder}; was it "
            "changed meanwhile? Remove the new folder and convert again"
        )


def _of(classes: Mapping, name: str, key: str) -> int:
    return getattr(classes[name], key) if name in classes else 0
