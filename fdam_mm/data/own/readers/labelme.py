"""labelme: a JSON with "shapes" beside each picture."""

import base64
import binascii
import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from fdam_mm.data.check.problems import Problem, show
from fdam_mm.data.own.folder import Folder, read_text, split_of
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
    is_rectangle,
    is_upright,
    points_of,
    rle_of,
)
from fdam_mm.errors import LabelError

NAME = "labelme"
LOOKED_FOR = 'JSONs with "shapes" and "imagePath"'

_IGNORED = ("__ignore__",)
_BACKGROUND = ("_background_",)
_FLAT = ("point", "points", "line", "linestrip")  # shapes without an area
_MOST_PIXELS = 1 << 28


def detects(folder: Folder) -> bool:
    return bool(_files(folder))


def _files(folder: Folder) -> list[PurePosixPath]:
    words = (b'"shapes"', b'"imagePath"')
    return [
        file
        for file in folder.with_suffix(".json")
        if all(word in folder.path(file).read_bytes() for word in words)
    ]


def open_set(folder: Folder) -> LabelledSet:
    """Reads every JSON: the labels in them are the classes, sorted."""
    problems: list[Problem] = []
    objects: dict[PurePosixPath, list[tuple[str, LabelledObject]]] = {}
    places: dict[PurePosixPath, PurePosixPath] = {}
    kinds = Counter[str]()
    for file in _files(folder):
        path = folder.path(file)
        try:
            data = _load(folder, file)
            picture = _picture(folder, file, data)
            if picture in places.values():
                raise LabelError(f"labels of {picture} again, expected one JSON for each picture")
            objects[file] = list(_objects(data, path, problems, kinds))
            places[file] = picture
        except LabelError as error:
            found, _, expected = str(error).removeprefix(f"{path}: ").rpartition(", expected ")
            problems.append(Problem(path, found, expected))
            objects.pop(file, None)
    names = sorted({name for found in objects.values() for name, _ in found})
    label_of = {name: label for label, name in enumerate(names)}
    of_file = {folder.path(file): found for file, found in objects.items()}

    def read(picture: LabelledPicture) -> ObjectLabels:
        if picture.label_file is None:
            raise LabelError(f"{picture.image}: no JSON of labelme, expected one")
        found = of_file[picture.label_file]
        return ObjectLabels(tuple(replace(o, label=label_of[name]) for name, o in found))

    labelled = {place: file for file, place in places.items()}
    pictures = [
        LabelledPicture(
            name_of(place), folder.path(place), split_of(place),
            folder.path(labelled[place]) if place in labelled else None,
        )
        for place in sorted({*folder.pictures})
    ]  # fmt: skip
    return LabelledSet(
        folder.root, NAME, ", ".join(f"{n} {kind}s" for kind, n in sorted(kinds.items())),
        _task(objects), tuple(ClassInfo(name) for name in names),
        tuple(sorted(pictures, key=lambda p: (p.split or "", p.name))), read, tuple(problems),
    )  # fmt: skip


def _task(objects: dict[PurePosixPath, list[tuple[str, LabelledObject]]]) -> Task:
    every = [found for listed in objects.values() for _, found in listed]
    if every and all(found.corners is not None for found in every):
        return "oriented"
    if any(found.polygons or found.rle or found.corners is not None for found in every):
        return "instance"
    return "detection"


def _load(folder: Folder, file: PurePosixPath) -> dict[str, Any]:
    try:
        data = json.loads(read_text(folder.path(file)))
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise LabelError(f"unreadable ({error}), expected labelme's JSON") from error
    if not isinstance(data, dict) or not isinstance(data.get("shapes"), list):
        raise LabelError("no list 'shapes', expected labelme's JSON")
    return data


def _picture(folder: Folder, file: PurePosixPath, data: dict) -> PurePosixPath:
    name = data.get("imagePath")
    place = folder.find_picture(name, file.parent) if isinstance(name, str) and name else None
    if place is None:  # renamed, or labelled elsewhere: the picture beside it
        beside = [f for f in folder.pictures if f.with_suffix("") == file.with_suffix("")]
        place = beside[0] if len(beside) == 1 else None
    if place is None:
        raise LabelError(f"imagePath {show(name)} is not in {folder.root}, expected the picture")
    return place


def _objects(data: dict, path: Any, problems: list[Problem], kinds: Counter) -> Any:
    """Names and objects; the shapes of one label and ``group_id`` are parts of one object."""
    size = data.get("imageHeight"), data.get("imageWidth")
    groups: dict[tuple[str, Any], list[tuple[str, LabelledObject]]] = {}
    skipped = Counter[str]()
    for number, shape in enumerate(data["shapes"], start=1):
        name = shape.get("label") if isinstance(shape, dict) else None
        if not isinstance(name, str) or not name:
            raise LabelError(f"shape {number}: label {show(name)}, expected the name of a class")
        kind = str(shape.get("shape_type") or "polygon")
        kinds[kind] += 1
        if kind in _FLAT or name in _BACKGROUND:
            skipped[f"{kind} ({name})"] += 1
            continue
        try:
            found = _object(shape, kind, size)
        except LabelError as error:
            raise LabelError(f"shape {number}: {error}") from error
        group = shape.get("group_id")
        key = (name, ("group", group)) if isinstance(group, int | str) else (name, number)
        groups.setdefault(key, []).append((name, found))
    if skipped:
        text = "shapes without an area: " + ", ".join(f"{n} {k}" for k, n in skipped.items())
        problems.append(Problem(path, text, "polygons, rectangles, circles or masks"))
    for parts in groups.values():
        yield from _joined(parts)


def _joined(parts: list[tuple[str, LabelledObject]]) -> list[tuple[str, LabelledObject]]:
    """One object of the parts of a group, where all are polygons; else the parts."""
    if len(parts) == 1 or not all(found.polygons for _, found in parts):
        return parts
    name, first = parts[0]
    polygons = tuple(polygon for _, found in parts for polygon in found.polygons)
    return [(name, replace(first, box=box_of(np.concatenate(polygons)), polygons=polygons))]


def _object(shape: dict, kind: str, size: tuple[Any, Any]) -> LabelledObject:
    """One shape. Raises LabelError where it is broken or of a kind that we do not know."""
    flags = shape.get("flags")
    flags = {k: v for k, v in flags.items() if v} if isinstance(flags, dict) else {}
    attributes = {
        key: value
        for key, value in (
            ("flags", flags), ("description", shape.get("description")),
            ("group_id", shape.get("group_id")), ("score", shape.get("score")),
        )
        if value not in (None, "", {})
    }  # fmt: skip
    crowd = shape["label"] in _IGNORED
    points = points_of(shape.get("points"), fewest=2)
    if kind in ("rectangle", "mask"):
        box = box_of(points)
        if kind == "rectangle":
            if len(points) == 4 and is_rectangle(points) and not is_upright(points):
                return LabelledObject(-1, box, corners=points, attributes=attributes)
            return LabelledObject(-1, box, crowd=crowd, attributes=attributes)
        rle = _mask(shape.get("mask"), box, size)
        return LabelledObject(
            -1, box_of_rle(rle, size), rle=rle, crowd=crowd, attributes=attributes
        )
    if kind in ("rotation", "oriented_rectangle", "rotated_rectangle", "quad"):
        points = points_of(shape.get("points"), fewest=4)[:4]
        return LabelledObject(-1, box_of(points), corners=points, attributes=attributes)
    if kind == "circle":
        centre, edge = points[:2]
        radius = float(np.linalg.norm(edge - centre))
        points = ellipse((centre[0], centre[1]), (radius, radius))
    elif kind == "polygon":
        points = points_of(shape.get("points"))
    else:
        raise LabelError(
            f"shape_type {show(kind)}, expected polygon, rectangle, circle, mask or a rotated one"
        )
    return LabelledObject(-1, box_of(points), (points,), crowd=crowd, attributes=attributes)


def _mask(text: Any, box: tuple[float, float, float, float], size: tuple[Any, Any]) -> Any:
    """The run lengths of a mask, which is a PNG of its box."""
    if not all(isinstance(side, int) and side > 0 for side in size):
        raise LabelError(f"a mask in a picture of {show(size)}, expected imageHeight, imageWidth")
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise LabelError("a mask of too many pixels, expected the box of an object")
            pixels = np.asarray(picture)
    except (TypeError, binascii.Error, OSError, SyntaxError, ValueError) as error:
        raise LabelError(f"a broken mask ({error}), expected a PNG in base64") from error
    left, top = round(box[0]), round(box[1])
    mask = pixels.astype(bool) if pixels.ndim == 2 else pixels[..., 0].astype(bool)
    return rle_of(mask, left, top, size)
