"""Pascal VOC: boxes in an XML for each picture, or label maps with VOC's palette."""

from dataclasses import replace
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element

import numpy as np

from fdam_mm.data.check.problems import Problem
from fdam_mm.data.formats.xml_tree import read_xml
from fdam_mm.data.own.folder import Folder, read_text, split_of
from fdam_mm.data.own.labelled import (
    ClassInfo,
    LabelledObject,
    LabelledPicture,
    LabelledSet,
    ObjectLabels,
)
from fdam_mm.data.own.pairs import name_of, pair
from fdam_mm.data.own.shapes import number_of, points_of
from fdam_mm.errors import LabelError

from .class_names import ClassNames, class_names
from .masks import ENDINGS, open_pairs

NAME = "voc"
MASKS = "voc-masks"
LOOKED_FOR = "XMLs with <annotation> and <object><bndbox>"

_FOLDERS = ("annotations", "annotation", "xml", "xmls", "labels")
_CLASSES = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]
_TEXTS = ("pose", "truncated", "occluded")


def detects(folder: Folder) -> bool:
    return any(_is_voc(folder, file) for file in folder.with_suffix(".xml")[:100])


def _is_voc(folder: Folder, file: PurePosixPath) -> bool:
    data = folder.path(file).read_bytes()
    return b"<annotation" in data and b"<annotations" not in data and b"<filename" in data


def open_set(folder: Folder) -> LabelledSet:
    """Reads every XML: the names in them are the classes, in VOC's order or sorted."""
    problems: list[Problem] = []
    files = folder.with_suffix(".xml")
    pairs = pair(folder, _photographs(folder), files, _FOLDERS)
    problems += pairs.problems
    objects: dict[PurePosixPath, list[tuple[str, LabelledObject]]] = {}
    for _, file in pairs.matched:
        try:
            objects[file] = _read(folder, file)
        except LabelError as error:
            found, _, expected = (
                str(error).removeprefix(f"{folder.path(file)}: ").rpartition(", expected ")
            )
            problems.append(Problem(folder.path(file), found, expected))
    has_masks = any(o.polygons for found in objects.values() for _, o in found)
    names = {name for found in objects.values() for name, _ in found}
    given = class_names(folder)
    order = [] if given is None else list(given.names.values())
    if names <= set(_CLASSES) and not order:
        order = [name for name in _CLASSES if name in names]
    order += sorted(names - set(order))
    label_of = {name: label for label, name in enumerate(order)}
    of_file = {folder.path(file): found for file, found in objects.items()}

    def read(picture: LabelledPicture) -> ObjectLabels:
        if picture.label_file is None:
            raise LabelError(
                f"{picture.image}: no XML, expected one (without objects if it has none)"
            )
        found = of_file[picture.label_file]
        return ObjectLabels(tuple(_with_label(o, label_of[name]) for name, o in found))

    splits = list_splits(folder, "main")
    pictures = [
        LabelledPicture(
            name_of(image), folder.path(image), splits.get(image.stem, split_of(image)),
            folder.path(file),
        )
        for image, file in pairs.matched
        if file in objects
    ]  # fmt: skip
    pictures += [
        LabelledPicture(name_of(f), folder.path(f), splits.get(f.stem, split_of(f)), None)
        for f in pairs.without_labels
    ]
    return LabelledSet(
        folder.root, NAME, "polygons in XML" if has_masks else "boxes in XML",
        "instance" if has_masks else "detection", tuple(ClassInfo(name) for name in order),
        tuple(sorted(pictures, key=lambda p: (p.split or "", p.name))), read, tuple(problems),
    )  # fmt: skip


def detects_masks(folder: Folder) -> bool:
    """Whether there are label maps of VOC."""
    return any("SegmentationClass" in file.parts[:-1] for file in folder.pictures)


def open_masks(folder: Folder) -> LabelledSet:
    """JPEGImages with SegmentationClass, the splits of ImageSets/Segmentation."""
    maps = [file for file in folder.pictures if "SegmentationClass" in file.parts[:-1]]
    pictures = _photographs(folder)
    pairs = pair(folder, pictures, maps, ("segmentationclass",), ENDINGS)
    splits = list_splits(folder, "segmentation")
    pairs.without_labels = []  # VOC has many: those of the boxes
    given = class_names(folder)
    if given is None:
        given = ClassNames(dict(enumerate(["background", *_CLASSES])), {})
    elif given.colours:  # CVAT's labelmap.txt: its palettes hold the colours
        given = ClassNames(given.names, given.colours)
    return open_pairs(folder, MASKS, pairs, given, splits or None)


def list_splits(folder: Folder, kind: str) -> dict[str, str]:
    """Splits by a picture's name, from ``ImageSets/KIND/train.txt``, ``val.txt``, ``test.txt``."""
    found: dict[str, str] = {}
    for split in ("train", "val", "test"):
        for file in folder.with_suffix(".txt"):
            parts = [part.lower() for part in file.parts]
            if parts[-1] == f"{split}.txt" and "imagesets" in parts and kind in parts:
                for line in read_text(folder.path(file)).splitlines():
                    if line.strip():
                        found.setdefault(PurePosixPath(line.split()[0]).name, split)
    return found


def _photographs(folder: Folder) -> list[PurePosixPath]:
    return [f for f in folder.pictures if not any("segmentation" in p.lower() for p in f.parts)]


def _read(folder: Folder, file: PurePosixPath) -> list[tuple[str, LabelledObject]]:
    """Names and objects of an XML. Raises LabelError where it is broken."""
    path = folder.path(file)
    found = []
    for number, element in enumerate(read_xml(path).iter("object"), start=1):
        name = _text(element, "name")
        box = element.find("bndbox")
        try:
            if not name or box is None:
                raise LabelError("no name or bndbox, expected both")
            sides = [number_of(_text(box, key), key) for key in ("xmin", "ymin", "xmax", "ymax")]
            polygon = element.find("polygon")
            parts = () if polygon is None else (_points(polygon) - 1,)
        except LabelError as error:
            raise LabelError(f"{path}: object {number}: {error}") from error
        difficult = _text(element, "difficult")
        attributes = {key: _text(element, key) for key in _TEXTS if _text(element, key)}
        # VOC's pixels count from 1, and a box holds its last ones
        left, top, right, bottom = sides[0] - 1, sides[1] - 1, sides[2], sides[3]
        labelled = LabelledObject(
            -1, (left, top, right, bottom), parts,
            difficult=int(difficult) if difficult.isdecimal() else 0, attributes=attributes,
        )  # fmt: skip
        found.append((name, labelled))
    return found


def _with_label(found: LabelledObject, label: int) -> LabelledObject:
    return replace(found, label=label)


def _points(polygon: Element) -> np.ndarray:
    """Points (n, 2) of ``x1``, ``y1``, ``x2``, ... Raises LabelError where they are none."""
    sides = {element.tag: element.text for element in polygon}
    count = len(sides) // 2
    return points_of([[sides.get(f"{axis}{i + 1}") for axis in "xy"] for i in range(count)])


def _text(element: Element, key: str) -> str:
    return (element.findtext(key) or "").strip()
