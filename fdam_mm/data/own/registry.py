"""Which reader understands a folder."""

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fdam_mm.errors import LayoutError, UsageError

from .folder import Folder, split_of
from .labelled import LabelledPicture, LabelledSet, Labels
from .pairs import name_of
from .readers import (
    coco,
    coco_panoptic,
    cvat,
    dota,
    geojson,
    labelme,
    masks,
    voc,
    yolo,
)


class Reader(NamedTuple):
    """One format: whether a folder is of it, how it is opened, what is looked for, in words."""

    detects: Callable[[Folder], bool]
    open_set: Callable[[Folder], LabelledSet]
    looked_for: str


_MODULES = (coco_panoptic, coco, labelme, cvat, voc, dota, yolo, geojson, masks)
READERS: Mapping[str, Reader] = {
    module.NAME: Reader(module.detects, module.open_set, module.LOOKED_FOR) for module in _MODULES
} | {
    voc.MASKS: Reader(
        voc.detects_masks, voc.open_masks, "JPEGImages with SegmentationClass (VOC's label maps)"
    )
}
"""By the name that ``--format`` takes."""

# A set of the first is one of the second too: panoptic sets come with their instances, VOC's
# pictures have boxes and some have label maps.
_FIRST = {
    ("coco-panoptic", "coco"),
    ("coco-panoptic", "masks"),
    ("voc-masks", "masks"),
    ("geojson", "masks"),
    ("coco", "masks"),
}


def open_labelled(folder: str | Path, format: str | None = None) -> LabelledSet:
    """Open a folder of pictures and labels.

    Args:
        folder: Its root.
        format: One of :data:`READERS`; None finds it. Pictures alone are a set too, "unlabelled".

    Raises:
        MissingFileError: There is no such folder.
        LayoutError: It is of no format that we read, or of several; says what was looked for.
        UsageError: There is no such format.
        LabelError, PictureError: A file that says what the classes are is broken.
    """
    if format is not None and format not in READERS:
        raise UsageError(f"format {format!r}, expected one of {', '.join(READERS)}")
    listed = Folder.open(folder)
    if format is not None:
        if not READERS[format].detects(listed):
            raise LayoutError(
                f"{folder} is not of the format {format}: looked for {READERS[format].looked_for}"
            )
        return READERS[format].open_set(listed)
    found = [name for name, reader in READERS.items() if reader.detects(listed)]
    found = [name for name in found if not any((other, name) in _FIRST for other in found)]
    if len(found) > 1:
        raise LayoutError(
            f"{folder} is of several formats, {' and '.join(found)}: choose one with --format "
            "(format=), or name a folder of one of them"
        )
    if found:
        return READERS[found[0]].open_set(listed)
    if listed.pictures and not _other_files(listed):
        return _unlabelled(listed)
    raise LayoutError(_nothing(listed))


def _other_files(folder: Folder) -> list[PurePosixPath]:
    """Files that may be labels of a kind that we do not know."""
    return folder.with_suffix(".json", ".xml", ".txt", ".csv", ".geojson", ".mat", ".npy", ".npz")


def _nothing(folder: Folder) -> str:
    looked = "; ".join(f"{reader.looked_for} ({name})" for name, reader in READERS.items())
    number = len(folder.pictures)
    others = ", ".join(str(file) for file in _other_files(folder)[:3])
    found = f"{number} pictures" + (f", and files such as {others}" if others else "")
    return f"{folder.root}: no labels that we know. Found {found}. Looked for: {looked}"


def _unlabelled(folder: Folder) -> LabelledSet:
    def read(picture: LabelledPicture) -> Labels:
        raise LayoutError(f"{picture.image} has no labels")

    pictures = (
        LabelledPicture(name_of(file), folder.path(file), split_of(file), None)
        for file in folder.pictures
    )
    return LabelledSet(
        folder.root, "none", "pictures alone", "unlabelled", (),
        tuple(sorted(pictures, key=lambda p: (p.split or "", p.name))), read,
    )  # fmt: skip
