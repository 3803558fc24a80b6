"""What is wrong with the JSON of a COCO set: its entries, categories, images and boxes.

A fault is what was found and what was expected, the two halves of a `Problem`.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .problems import Problem, no_such, shorten, size_text, try_reading, whole_size

Fault = tuple[str, str]
_TABLES = ("images", "annotations", "categories")
_IMAGE_KEYS = ("id", "file_name", "height", "width")
_TOLERANCE = 1.0  # pixels that a box may stick out, as rounded numbers do


class CocoTables(NamedTuple):
    """What a JSON holds."""

    images: dict[Any, dict]  # by id, those with all keys
    annotations: list[dict]
    categories: set  # their ids


def read_coco(
    file: Path, folders: Iterable[Path], classes: Sequence[str], problems: list[Problem]
) -> CocoTables | None:
    """Read a JSON and check its categories and images.

    Args:
        file: the JSON.
        folders: where its pictures are.
        classes: the config's names of the categories.
        problems: those that are found are added.

    Returns:
        None where the JSON cannot be read or a folder is missing.
    """
    advice = "prepare the data or set its root"
    for folder in folders:
        if not folder.is_dir():
            expected = f"a folder of pictures; {advice}"
            problems.append(Problem(folder, no_such("folder", folder), expected))
    if not file.is_file():
        problems.append(Problem(file, no_such("file", file), f"a COCO JSON; {advice}"))
    if problems:
        return None
    tables = _parse(file, problems)
    if tables is None:
        return None
    faults = category_faults(tables["categories"], classes)
    problems += [Problem(file, *fault) for fault in faults]
    return CocoTables(
        images=usable_images(tables["images"], file, problems),
        annotations=tables["annotations"],
        categories={category.get("id") for category in tables["categories"]},
    )


def _parse(file: Path, problems: list[Problem]) -> dict[str, list[dict]] | None:
    try:
        tables = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        problems.append(Problem(file, f"unreadable ({error})", "a COCO JSON"))
        return None
    for name in _TABLES:
        table = tables.get(name) if isinstance(tables, dict) else None
        if not isinstance(table, list) or not all(isinstance(entry, dict) for entry in table):
            problems.append(Problem(file, f"no {name!r}", f"the lists {', '.join(_TABLES)}"))
            return None
    return tables


def missing_keys(entry: Mapping[str, Any], keys: Iterable[str]) -> list[Fault]:
    """At most one fault, which names the keys that an entry lacks."""
    lacks = [key for key in keys if entry.get(key) is None]
    return [(f"no {', '.join(lacks)}", f"the keys {', '.join(keys)}")] if lacks else []


def repeated_ids(entries: Iterable[Mapping[str, Any]], kind: str, key: str = "id") -> list[Fault]:
    """One fault for each id that several entries have."""
    counts = Counter(entry[key] for entry in entries if entry.get(key) is not None)
    return [
        (f"{number} {kind} with {key} {value}", "one")
        for value, number in counts.items()
        if number > 1
    ]


def category_faults(
    categories: Sequence[Mapping[str, Any]], classes: Sequence[str]
) -> list[Fault]:
    """Ids that repeat, and names that are not the config's classes in their order."""
    faults = repeated_ids(categories, "categories")
    names = [category.get("name") for category in categories]
    lacking = [name for name in classes if name not in names]
    unknown = [name for name in names if name not in classes]
    if lacking:
        faults.append((f"no category {shorten(lacking)}", "the classes of the config"))
    if unknown:
        faults.append(
            (f"categories {shorten(unknown)} that the config does not name", "its classes alone")
        )
    if not lacking and not unknown and names != list(classes):
        # mmdet counts labels in the order of the JSON and names them in that of the config
        faults.append((f"categories in the order {shorten(names)}", f"{shorten(classes)}"))
    return faults


def usable_images(images: Iterable[dict], file: Path, problems: list[Problem]) -> dict[Any, dict]:
    """The images with all keys, by id; adds a problem for each other one."""
    usable = {}
    for position, image in enumerate(images):
        faults = missing_keys(image, _IMAGE_KEYS)
        problems += [Problem(file, f"images[{position}] has {f}", e) for f, e in faults]
        if not faults:
            usable[image["id"]] = image
    problems += [Problem(file, *fault) for fault in repeated_ids(images, "images")]
    return usable


def picture_problems(image: Mapping[str, Any], img_dir: Path, ann_file: Path) -> list[Problem]:
    """Read the picture of an image and compare its size with the JSON."""
    file = img_dir / image["file_name"]
    if not file.is_file():
        return [Problem(file, no_such("file", file), f"a picture, for {ann_file} lists it")]
    problems: list[Problem] = []
    size = try_reading(whole_size, file, problems)
    if size is not None and size != (image["height"], image["width"]):
        expected = f"{size_text((image['height'], image['width']))} as in {ann_file}"
        problems.append(Problem(file, f"picture is {size_text(size)}", expected))
    return problems


def object_faults(
    entry: Mapping[str, Any], keys: Iterable[str], image: Mapping[str, Any], categories: set
) -> Iterator[Fault]:
    """What is wrong with the keys, category, box and crowd flag of an object in an image."""
    yield from missing_keys(entry, keys)
    if entry.get("category_id") not in categories:
        yield f"category_id {entry.get('category_id')}", "a category of the JSON"
    if entry.get("bbox") is not None:
        yield from box_faults(entry["bbox"], image)
    if entry.get("iscrowd", 0) not in (0, 1):
        yield f"iscrowd {entry['iscrowd']}", "0 or 1"


def box_faults(box: Any, image: Mapping[str, Any]) -> Iterator[Fault]:
    """A box x, y, width, height must be of some extent and inside its image."""
    if not are_numbers(box) or len(box) != 4:
        yield f"bbox {box}", "4 numbers"
        return
    x, y, width, height = box
    if width <= 0 or height <= 0:
        yield f"bbox {box}", "a width and height above 0"
    right, bottom = image["width"] + _TOLERANCE, image["height"] + _TOLERANCE
    if min(x, y) < -_TOLERANCE or x + width > right or y + height > bottom:
        size = size_text((image["height"], image["width"]))
        yield f"bbox {box} sticks out", f"a box inside the picture, {size}"


def are_numbers(values: Any) -> bool:
    """Whether it is a list of finite numbers."""
    return isinstance(values, list) and all(
        isinstance(value, int | float) and math.isfinite(value) for value in values
    )
