"""CVAT for images: one XML with an <image> for each picture."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element

import numpy as np

from fdam_mm.data.check.problems import Problem, shorten
from fdam_mm.data.formats.xml_tree import read_xml
from fdam_mm.data.own.folder import SPLITS, Folder, split_of
from fdam_mm.data.own.labelled import (
    ClassInfo,
    LabelledObject,
    LabelledPicture,
    LabelledSet,
    ObjectLabels,
    Task,
)
from fdam_mm.data.own.pairs import name_of
from fdam_mm.data.own.shapes import (
    box_of,
    box_of_rle,
    ellipse,
    number_of,
    points_of,
    rle_of,
    rotated,
)
from fdam_mm.errors import LabelError

NAME = "cvat"
LOOKED_FOR = "an XML with <annotations> and <image>"

_FLAT = ("polyline", "points", "skeleton", "tag", "cuboid")  # not an area of a picture
_AREAS = ("box", "polygon", "mask", "ellipse")
_MOST_PIXELS = 1 << 28


def detects(folder: Folder) -> bool:
    return bool(_files(folder))


def _files(folder: Folder) -> list[PurePosixPath]:
    found = []
    for file in folder.with_suffix(".xml"):
        data = folder.path(file).read_bytes()
        if b"<annotations" in data and b"<image " in data:
            found.append(file)
    return found


def open_set(folder: Folder) -> LabelledSet:
    """Raises LabelError where an XML is broken."""
    problems: list[Problem] = []
    classes: dict[str, ClassInfo] = {}
    entries: dict[LabelledPicture, tuple[Element, PurePosixPath]] = {}
    kinds = Counter[str]()
    for file in _files(folder):
        root = read_xml(folder.path(file))
        if root.find("track") is not None:
            raise LabelError(
                f"{folder.path(file)}: tracks of a video, expected CVAT for images 1.1"
            )
        for label in root.iter("label"):
            name = (label.findtext("name") or "").strip()
            if name:
                classes.setdefault(name, ClassInfo(name, colour=_colour(label.findtext("color"))))
        missing = []
        for image in root.iter("image"):
            name = image.get("name") or ""
            subset = SPLITS.get((image.get("subset") or "").lower())
            place = folder.find_picture(name, file.parent, subset) if name else None
            if place is None:
                missing.append(name)
                continue
            picture = LabelledPicture(
                name_of(place), folder.path(place), subset or split_of(place), folder.path(file)
            )
            entries[picture] = image, file
            for shape in image:
                kinds[shape.tag] += 1
                name = shape.get("label") or ""
                if shape.tag in _AREAS and name:
                    classes.setdefault(name, ClassInfo(name))
        if missing:
            text = f"{len(missing)} pictures that are not in {folder.root}: {shorten(missing)}"
            problems.append(Problem(folder.path(file), text, "the pictures in a folder beside it"))
        flat = Counter(s.tag for i in root.iter("image") for s in i if s.tag in _FLAT)
        if flat:
            text = "shapes without an area: " + ", ".join(f"{n} {k}" for k, n in flat.items())
            problems.append(Problem(folder.path(file), text, f"one of {', '.join(_AREAS)}"))
    label_of = {name: label for label, name in enumerate(classes)}

    def read(picture: LabelledPicture) -> ObjectLabels:
        image, file = entries[picture]
        return ObjectLabels(tuple(_objects(image, folder, file, label_of)))

    turned = any(
        (box.get("rotation") or "0").strip("0.") for image, _ in entries.values() for box in image
    )
    return LabelledSet(
        folder.root, NAME, ", ".join(f"{n} of {kind}" for kind, n in sorted(kinds.items())),
        _task(kinds, turned), tuple(classes.values()),
        tuple(sorted(entries, key=lambda p: (p.split or "", p.name))), read, tuple(problems),
    )  # fmt: skip


def _task(kinds: Counter, turned: bool) -> Task:
    if kinds["polygon"] or kinds["mask"] or kinds["ellipse"]:
        return "instance"
    return "oriented" if turned else "detection"


def _objects(
    image: Element, folder: Folder, file: PurePosixPath, label_of: dict[str, int]
) -> list[LabelledObject]:
    """The objects of an image. Raises LabelError where one is broken."""
    found: list[LabelledObject] = []
    grouped: dict[tuple[int, str], int] = {}
    for number, shape in enumerate(image, start=1):
        if shape.tag not in _AREAS:
            continue
        where = f"{folder.path(file)}: image {image.get('name')}, shape {number}"
        try:
            label = label_of[shape.get("label") or ""]
            labelled = replace(_object(shape, image), label=label)
        except KeyError as error:
            raise LabelError(f"{where}: no label, expected the name of a class") from error
        except LabelError as error:
            raise LabelError(f"{where}: {error}") from error
        group = label, shape.get("group_id") or ""
        if group[1] not in ("", "0") and labelled.polygons and group in grouped:
            place = grouped[group]  # a part of an object, as CVAT exports groups to COCO
            polygons = found[place].polygons + labelled.polygons
            box = box_of(np.concatenate(polygons))
            found[place] = replace(found[place], polygons=polygons, box=box)
            continue
        if labelled.polygons:
            grouped.setdefault(group, len(found))
        found.append(labelled)
    return found


def _object(shape: Element, image: Element) -> LabelledObject:
    keys = {"occluded": shape.get("occluded"), "group_id": shape.get("group_id")}
    attributes: dict = {k: v for k, v in keys.items() if v not in (None, "", "0")}
    attributes |= {a.get("name"): a.text for a in shape.iter("attribute") if a.get("name")}
    rotation = number_of(shape.get("rotation") or 0, "rotation")
    if shape.tag == "box":
        left, top, right, bottom = (
            number_of(shape.get(k), k) for k in ("xtl", "ytl", "xbr", "ybr")
        )
        corners = rotated((left, top, right, bottom), rotation)
        if not rotation:
            return LabelledObject(-1, (left, top, right, bottom), attributes=attributes)
        return LabelledObject(-1, box_of(corners), corners=corners, attributes=attributes)
    if shape.tag == "polygon":
        text = shape.get("points") or ""
        points = points_of([pair.split(",") for pair in text.split(";") if pair])
        return LabelledObject(-1, box_of(points), (points,), attributes=attributes)
    if shape.tag == "ellipse":
        x, y, rx, ry = (number_of(shape.get(k), k) for k in ("cx", "cy", "rx", "ry"))
        points = ellipse((x, y), (rx, ry), rotation)
        return LabelledObject(-1, box_of(points), (points,), attributes=attributes)
    size = _whole(image, "height"), _whole(image, "width")
    rle = _mask(shape, size)
    return LabelledObject(-1, box_of_rle(rle, size), rle=rle, attributes=attributes)


def _mask(shape: Element, size: tuple[int, int]) -> dict:
    """Run lengths along the rows of the mask's box, of 0 and 1 in turn."""
    left, top, width, height = (_whole(shape, k) for k in ("left", "top", "width", "height"))
    if not 0 < width * height <= _MOST_PIXELS:
        raise LabelError(f"a mask of {width} x {height}, expected the box of an object")
    try:
        runs = np.array([int(run) for run in (shape.get("rle") or "").split(",")], np.int64)
    except (ValueError, OverflowError) as error:
        raise LabelError("a broken rle, expected whole numbers") from error
    if (runs < 0).any() or (runs > width * height).any() or runs.sum() != width * height:
        raise LabelError(f"a broken rle, expected runs of {width * height} pixels in all")
    values = np.arange(len(runs)) % 2 == 1
    return rle_of(np.repeat(values, runs).reshape(height, width), left, top, size)


def _whole(element: Element, key: str) -> int:
    return int(number_of(element.get(key), key))


def _colour(text: str | None) -> tuple[int, int, int] | None:
    """``#rrggbb``"""
    if not re.fullmatch("#[0-9a-fA-F]{6}", (text or "").strip()):
        return None
    red, green, blue = bytes.fromhex((text or "").strip()[1:])
    return red, green, blue
