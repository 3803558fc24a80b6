"""COCO instances: a JSON of images, annotations and categories; polygons, RLEs, crowds, boxes."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from fdam_mm.data.check.problems import Problem, shorten, show
from fdam_mm.data.check.values import are_numbers
from fdam_mm.data.formats.polygons import is_usable, read_polygon
from fdam_mm.data.own.folder import Folder, read_text, split_of, split_of_name
from fdam_mm.data.own.labelled import (
    ClassInfo,
    LabelledObject,
    LabelledPicture,
    LabelledSet,
    ObjectLabels,
    Part,
)
from fdam_mm.data.own.pairs import name_of
from fdam_mm.data.own.shapes import box_of, box_of_rle
from fdam_mm.errors import LabelError, LayoutError

NAME = "coco"
LOOKED_FOR = 'a JSON with "images", "annotations" and "categories"'

_OWN_KEYS = {"image_id", "category_id", "bbox", "segmentation", "iscrowd"}
_LISTS = ("images", "annotations", "categories")
_OF_IMAGES = {"id", "file_name", "height", "width"}


def detects(folder: Folder) -> bool:
    return bool(coco_jsons(folder, panoptic=False))


def coco_jsons(folder: Folder, panoptic: bool) -> list[PurePosixPath]:
    """The JSONs of COCO, with panoptic segments or with objects."""
    words = (b'"images"', b'"annotations"', b'"categories"')
    found = []
    for file in folder.with_suffix(".json"):
        data = folder.path(file).read_bytes()
        if all(word in data for word in words) and (b'"segments_info"' in data) == panoptic:
            found.append(file)
    return found


def open_set(folder: Folder) -> LabelledSet:
    """Raises LabelError where a JSON is broken, LayoutError where several are of one picture."""
    tables = {file: read_tables(folder.path(file)) for file in coco_jsons(folder, panoptic=False)}
    tables = without_copies(tables)
    splits = {file: split_of_json(file) for file in tables}
    problems: list[Problem] = []
    classes, labels = merged_classes(folder, tables, problems)
    entries: dict[LabelledPicture, tuple[dict, list[dict], dict]] = {}
    bases: dict[PurePosixPath, PurePosixPath] = {}
    has_masks = False
    for file, data in tables.items():
        of_image = defaultdict(list)
        for annotation in data["annotations"]:
            if isinstance(annotation, dict):
                of_image[str(annotation.get("image_id"))].append(annotation)
                has_masks |= bool(annotation.get("segmentation"))
        for picture, image in pictures_of(folder, file, data, splits[file], problems, bases):
            of_class = {key: label for (json, key), label in labels.items() if json == file}
            entries[picture] = image, of_image[str(image["id"])], of_class

    def read(picture: LabelledPicture) -> ObjectLabels:
        image, annotations, of_class = entries[picture]
        return ObjectLabels(tuple(_object(a, image, of_class) for a in annotations))

    return LabelledSet(
        folder.root,
        NAME,
        f"{len(tables)} JSON{'s' * (len(tables) > 1)}",
        "instance" if has_masks else "detection",
        classes,
        tuple(sorted(entries, key=lambda p: (p.split or "", p.name))),
        read,
        tuple(problems),
        tuple(
            Part(splits[file], folder.path(bases[file]), folder.path(file))
            for file in tables
            if file in bases
        )
        if len(bases) == len(tables) and len(set(splits.values())) == len(tables)
        else (),
        attributes=of_whole_set(tables.values()),
    )


def of_whole_set(tables: Iterable[dict]) -> dict[str, Any]:
    """What JSONs say beside their lists; where several say it, the first."""
    said: dict[str, Any] = {}
    for data in tables:
        said = {k: v for k, v in data.items() if k not in _LISTS and v} | said
    return said


def read_tables(file: Path) -> dict[str, list]:
    """The lists of a COCO JSON.

    Raises:
        LabelError: It is none.
    """
    expected = "expected a COCO JSON with the lists images, annotations, categories"
    try:
        data = json.loads(read_text(file))
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise LabelError(f"{file}: unreadable ({error}), {expected}") from error
    for key in _LISTS:
        if not isinstance(data, dict) or not isinstance(data.get(key), list):
            raise LabelError(f"{file}: no list {key!r}, {expected}")
    return data


def without_copies(tables: dict[PurePosixPath, dict]) -> dict[PurePosixPath, dict]:
    """The JSONs to read where several name the same pictures.

    One of all pictures beside those of the splits is left out; of several kinds, such as COCO's
    keypoints beside its instances, those called "instances" are taken.

    Raises:
        LayoutError: More than one is left for a picture.
    """
    names = {file: _file_names(data) for file, data in tables.items()}
    split = {file for file in tables if split_of_json(file)}
    for file in set(tables) - split:
        others = set().union(*(names[other] for other in split)) if split else set()
        if names[file] and names[file] <= others:
            names.pop(file)
    if _overlap(names) and any("instances" in file.name for file in names):
        names = {file: found for file, found in names.items() if "instances" in file.name}
    if _overlap(names):
        files = ", ".join(str(file) for file in sorted(names))
        raise LayoutError(
            f"several COCO JSONs have the same pictures ({files}), expected one for each picture; "
            "move those not meant elsewhere"
        )
    return {file: tables[file] for file in tables if file in names}


def split_of_json(file: PurePosixPath) -> str | None:
    """The split that a JSON's name says, else its folder."""
    return split_of_name(file.stem) or split_of(file)


def merged_classes(
    folder: Folder, tables: Mapping[PurePosixPath, dict], problems: list[Problem]
) -> tuple[tuple[ClassInfo, ...], dict[tuple[PurePosixPath, Any], int]]:
    """The classes of all JSONs by name, in the order of the first, and labels by JSON and id."""
    classes: dict[str, ClassInfo] = {}
    labels: dict[tuple[PurePosixPath, Any], int] = {}
    for file, data in tables.items():
        for entry in data["categories"]:
            number = entry.get("id") if isinstance(entry, dict) else None
            if not isinstance(number, int | str):
                found = f"a category {show(entry)}"
                problems.append(Problem(folder.path(file), found, "one with an id and a name"))
                continue
            name = str(entry.get("name") or f"class_{number}")
            colour = entry.get("color")
            is_colour = are_numbers(colour) and len(colour) == 3
            info = ClassInfo(
                name,
                number if isinstance(number, int) else None,
                tuple(int(value) & 255 for value in colour) if is_colour else None,  # type: ignore
                bool(entry.get("isthing", True)),
                str(entry["supercategory"]) if entry.get("supercategory") else None,
            )
            classes.setdefault(name, info)
            labels[file, number] = list(classes).index(name)
    return tuple(classes.values()), labels


def pictures_of(
    folder: Folder,
    file: PurePosixPath,
    data: dict,
    split: str | None,
    problems: list[Problem],
    bases: dict[PurePosixPath, PurePosixPath],
) -> list[tuple[LabelledPicture, dict]]:
    """The pictures of a JSON with their entries.

    Those that are not there are a problem. ``bases`` gets the folder to which all names are
    relative, if there is one.
    """
    found, missing = [], []
    places: set[PurePosixPath | None] = set()
    for image in data["images"]:
        name = image.get("file_name") if isinstance(image, dict) else None
        if not isinstance(name, str) or not name or image.get("id") is None:
            problems.append(Problem(folder.path(file), f"an image {show(image)}", "id, file_name"))
            continue
        place = folder.find_picture(name, file.parent, split)
        if place is None:
            missing.append(name)
            continue
        parts = PurePosixPath(name.replace("\\", "/")).parts
        is_below = place.parts[-len(parts) :] == parts
        places.add(PurePosixPath(*place.parts[: -len(parts)]) if is_below else None)
        picture = LabelledPicture(
            name_of(place), folder.path(place), split or split_of(place), folder.path(file),
            attributes={k: v for k, v in image.items() if k not in _OF_IMAGES},
        )  # fmt: skip
        found.append((picture, image))
    if missing:
        text = f"{len(missing)} pictures that are not in {folder.root}: {shorten(missing)}"
        problems.append(Problem(folder.path(file), text, "the pictures in a folder beside it"))
    base = places.pop() if len(places) == 1 else None
    if base is not None:
        bases[file] = base
    return found


def _object(entry: dict, image: dict, labels: dict[Any, int]) -> LabelledObject:
    """One annotation. Raises LabelError where it is broken."""
    name = f"annotation {show(entry.get('id'))}"
    category = entry.get("category_id")
    if not isinstance(category, int | str) or category not in labels:
        raise LabelError(f"{name}: category_id {show(category)}, expected one of the JSON")
    mask = entry.get("segmentation")
    size: Any = image.get("height"), image.get("width")
    polygons: tuple[np.ndarray, ...] = ()
    rle = None
    try:
        if isinstance(mask, dict):
            if not all(isinstance(side, int) and side > 0 for side in size):
                raise LabelError(f"an image of size {show(size)}, expected height and width")
            rle, box = mask, box_of_rle(mask, size)
        elif isinstance(mask, list) and mask:
            read = [read_polygon(polygon) for polygon in mask]
            if not all(map(is_usable, read)):
                raise LabelError("a polygon of too few numbers, expected an even count from 6 on")
            polygons = tuple(polygon.reshape(-1, 2) for polygon in read)
            box = box_of(np.concatenate(polygons))
    except LabelError as error:
        raise LabelError(f"{name}: {error}") from error
    if are_numbers(entry.get("bbox")) and len(entry["bbox"]) == 4:
        left, top, width, height = map(float, entry["bbox"])
        box = left, top, left + width, top + height
    elif rle is None and not polygons:
        raise LabelError(f"{name}: bbox {show(entry.get('bbox'))}, expected 4 numbers")
    attributes = {key: value for key, value in entry.items() if key not in _OWN_KEYS}
    return LabelledObject(
        labels[category], box, polygons, rle, crowd=bool(entry.get("iscrowd")),
        attributes=attributes,
    )  # fmt: skip


def _file_names(data: dict) -> set[str]:
    return {
        str(image["file_name"])
        for image in data["images"]
        if isinstance(image, dict) and "file_name" in image
    }


def _overlap(names: Mapping[PurePosixPath, set[str]]) -> bool:
    """Whether two JSONs of one split, or without one, name the same picture."""
    counts = Counter(
        (split_of_json(file), name) for file, found in names.items() for name in found
    )
    return any(number > 1 for number in counts.values())
