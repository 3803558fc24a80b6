"""DOTA v1.0, v1.5 and v2.0: a text file with x1 y1 ... y4 category difficult for each picture."""

from pathlib import PurePosixPath

from fdam_mm.data.formats.dota import label_lines, parse_label, read_labels
from fdam_mm.data.own.folder import Folder, split_of
from fdam_mm.data.own.labelled import (
    ClassInfo,
    LabelledObject,
    LabelledPicture,
    LabelledSet,
    ObjectLabels,
)
from fdam_mm.data.own.pairs import name_of, pair, parts_of
from fdam_mm.data.own.shapes import box_of
from fdam_mm.errors import LabelError

NAME = "dota"
LOOKED_FOR = "labelTxt/NAME.txt of 8 coordinates, a category and a difficulty"

_FOLDERS = ("labeltxt", "labeltxt-v1.0", "labeltxt-v1.5", "labeltxt-v2.0", "annfiles", "labels")
_V1_0 = [
    "plane",
    "baseball-diamond",
    "bridge",
    "ground-track-field",
    "small-vehicle",
    "large-vehicle",
    "ship",
    "tennis-court",
    "basketball-court",
    "storage-tank",
    "soccer-ball-field",
    "roundabout",
    "harbor",
    "swimming-pool",
    "helicopter",
]
_V1_5 = [*_V1_0, "container-crane"]
_V2_0 = [*_V1_5, "airport", "helipad"]
_VERSIONS = {"v1.0": _V1_0, "v1.5": _V1_5, "v2.0": _V2_0}


def detects(folder: Folder) -> bool:
    return bool(_label_files(folder))


def _label_files(folder: Folder) -> list[PurePosixPath]:
    """Text files in a folder of labels; those in which a line looks like DOTA's decide."""
    files = [f for f in folder.with_suffix(".txt") if f.parent.name.lower() in _FOLDERS]
    files += [f for f in folder.with_suffix(".txt") if f not in files and _below_labels(f)]
    return files if any(_is_dota(folder, file) for file in files[:1000]) else []


def _below_labels(file: PurePosixPath) -> bool:
    return any(part.lower() in _FOLDERS for part in file.parts[:-1])


def _is_dota(folder: Folder, file: PurePosixPath) -> bool:
    try:
        for _, line in label_lines(folder.path(file)):
            _, category, _ = parse_label(line)
            return not category.replace(".", "", 1).lstrip("-").isdigit()
    except (LabelError, ValueError):
        pass
    return False


def open_set(folder: Folder) -> LabelledSet:
    """Raises LabelError where a text file is broken: its categories are the set's classes."""
    files = _label_files(folder)
    pairs = pair(folder, folder.pictures, files, _FOLDERS)
    names: set[str] = set()
    for _, file in pairs.matched:
        names.update(read_labels(folder.path(file)).categories)
    details, classes = _classes(names)
    label_of = {name: label for label, name in enumerate(classes)}

    def read(picture: LabelledPicture) -> ObjectLabels:
        assert picture.label_file is not None
        labels = read_labels(picture.label_file)
        return ObjectLabels(
            tuple(
                LabelledObject(
                    label_of[category], box_of(corners), corners=corners, difficult=difficult
                )
                for corners, category, difficult in zip(
                    labels.corners, labels.categories, labels.difficult, strict=True
                )
            )
        )

    pictures = [_picture(folder, image, file) for image, file in pairs.matched]
    pictures += [_picture(folder, image, None) for image in pairs.without_labels]
    return LabelledSet(
        folder.root, NAME, details, "oriented", tuple(ClassInfo(name) for name in classes),
        tuple(sorted(pictures, key=lambda p: (p.split or "", p.name))), read,
        tuple(pairs.problems),
        parts_of(folder, pairs.matched) if _are_plain(folder, files) else (),
    )  # fmt: skip


def _picture(
    folder: Folder, image: PurePosixPath, labels: PurePosixPath | None
) -> LabelledPicture:
    path = None if labels is None else folder.path(labels)
    return LabelledPicture(name_of(image), folder.path(image), split_of(image), path)


def _are_plain(folder: Folder, files: list[PurePosixPath]) -> bool:
    """Whether mmrotate reads them: it stops at a header, and at a line without a difficulty."""
    for file in files:
        lines = folder.path(file).read_bytes().splitlines()
        if any(len(line.split()) != 10 for line in lines):
            return False
    return True


def _classes(names: set[str]) -> tuple[str, list[str]]:
    """The first of DOTA's versions that has all names, in its order; else the names sorted."""
    for version, classes in _VERSIONS.items():
        if names and names <= set(classes):
            return f"classes of DOTA {version}", classes
    return "classes of its own", sorted(names)
