"""What is wrong with the JSON of a COCO set: its tables, ids, categories and images.

A fault is what was found and what was expected, the two halves of a `Problem`.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .problems import (
    Problem,
    is_file,
    no_such,
    shorten,
    show,
    size_text,
    try_reading,
    whole_size,
)
from .values import id_fault, is_number

Fault = tuple[str, str]
_TABLES = ("images", "annotations", "categories")
_MOST = 4  # faults of one entry that are named


class CocoTables(NamedTuple):
    """What a JSON holds, less what is broken."""

    images: dict[Any, dict]  # by id, those with all keys
    listed: set  # the ids of all images
    annotations: list[dict]
    categories: list[dict]  # those with an id

    def category_ids(self) -> set:
        """The ids of the categories."""
        return {category["id"] for category in self.categories}


def read_coco(file: Path, problems: list[Problem], labelled: bool = True) -> CocoTables | None:
    """Read a JSON and check its tables, their ids, and the images.

    Args:
        file: the JSON.
        problems: those that are found are added.
        labelled: whether there must be annotations, as in all but a test set.

    Returns:
        None where the JSON cannot be read.
    """
    if not is_file(file):
        expected = "a COCO JSON; prepare the data or set its root"
        problems.append(Problem(file, no_such("file", file), expected))
        return None
    tables = _parse(file, problems)
    if tables is None:
        return None
    for name in _TABLES if labelled else ("images", "categories"):
        if not tables[name]:
            problems.append(Problem(file, f"no {name!r}", f"the lists {', '.join(_TABLES)}"))
    images, annotations, categories = (_entries(tables[n], n, file, problems) for n in _TABLES)
    return CocoTables(
        images=usable_images(images, file, problems),
        listed={image["id"] for _, image in images if not [*id_fault(image, "id")]},
        annotations=[annotation for _, annotation in annotations],
        categories=_with_id(categories, "categories", file, problems),
    )


def _parse(file: Path, problems: list[Problem]) -> dict[str, list] | None:
    """The tables of a JSON; one that is not there is empty."""
    repeated: set[str] = set()

    def entry(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            repeated.update(key for key, number in counts.items() if number > 1)
        return values

    wanted = f"the lists {', '.join(_TABLES)}"
    try:
        data = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=entry)
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        problems.append(Problem(file, f"unreadable ({error or 'too large'})", "a COCO JSON"))
        return None
    if not isinstance(data, dict):
        problems.append(Problem(file, show(data), wanted))
        return None
    if repeated:
        found = f"entries with twice the key {shorten(sorted(repeated))}, of which one is lost"
        problems.append(Problem(file, found, "each key once"))
    tables = {name: data.get(name, []) for name in _TABLES}
    wrong = [name for name, table in tables.items() if not isinstance(table, list)]
    problems += [Problem(file, f"{name!r} is {show(tables[name])}", wanted) for name in wrong]
    return None if wrong else tables


def _entries(
    table: list, name: str, file: Path, problems: list[Problem]
) -> list[tuple[int, dict[str, Any]]]:
    """Place and content of the entries that have keys; adds a problem for each other one."""
    good = [(place, value) for place, value in enumerate(table) if isinstance(value, dict)]
    if len(good) < len(table):
        problems += [
            Problem(file, f"{name}[{place}] is {show(value)}", "an entry with keys")
            for place, value in enumerate(table)
            if not isinstance(value, dict)
        ]
    return good


def _with_id(
    entries: Iterable[tuple[int, dict]], name: str, file: Path, problems: list[Problem]
) -> list[dict]:
    """The entries with an id; adds a problem for each other one, and for ids that repeat."""
    good = []
    for place, entry in entries:
        faults = list(id_fault(entry, "id"))
        problems += entry_problems(file, f"{name}[{place}] has", faults)
        if not faults:
            good.append(entry)
    problems += [Problem(file, *fault) for fault in repeated_ids(good, name)]
    return good


def entry_problems(file: Path, name: str, faults: Iterable[Fault]) -> Iterator[Problem]:
    """At most one problem, with all that is wrong with one entry."""
    faults = list(dict.fromkeys(faults))
    if faults:
        found = " and ".join(fault[0] for fault in faults[:_MOST])
        more = f" and {len(faults) - _MOST} more faults" if len(faults) > _MOST else ""
        expected = " and ".join(dict.fromkeys(fault[1] for fault in faults[:_MOST]))
        yield Problem(file, f"{name} {found}{more}", expected)


def missing_keys(entry: Mapping[str, Any], keys: Iterable[str]) -> list[Fault]:
    """At most one fault, which names the keys that an entry lacks."""
    lacks = [key for key in keys if entry.get(key) is None]
    return [(f"no {', '.join(lacks)}", f"the keys {', '.join(keys)}")] if lacks else []


def repeated_ids(entries: Iterable[Mapping[str, Any]], kind: str, key: str = "id") -> list[Fault]:
    """One fault for each id that several entries have; all ids must be good ones."""
    counts = Counter(entry[key] for entry in entries)
    return [
        (f"{number} {kind} with {key} {show(value)}", "one")
        for value, number in counts.items()
        if number > 1
    ]


def category_faults(
    categories: Sequence[Mapping[str, Any]], classes: Sequence[str]
) -> Iterator[Fault]:
    """Names that are not the config's classes, in their order.

    The categories of classes that the config does not name are left out, by mmdet too.
    """
    unnamed = [category for category in categories if category.get("name") is None]
    if unnamed:
        yield f"no name of the categories {shorten(c['id'] for c in unnamed)}", "one each"
    names = [category.get("name") for category in categories]
    lacking = [name for name in classes if name not in names]
    if lacking:
        yield f"no category {shorten(lacking)}", "the classes of the config"
        unknown = [name for name in names if name not in classes and name is not None]
        if unknown:
            found = f"categories {shorten(unknown)} that the config does not name"
            yield found, "its classes alone"
        return
    used = [name for name in names if name in classes]
    if len(used) > len(classes):
        twice = [name for name, number in Counter(used).items() if number > 1]
        yield f"several categories with the name {shorten(twice)}", "one"
    elif used != list(classes):
        # mmdet counts labels in the order of the JSON and names them in that of the config
        yield f"categories in the order {shorten(used)}", shorten(classes)


def usable_images(
    images: Iterable[tuple[int, dict]], file: Path, problems: list[Problem]
) -> dict[Any, dict]:
    """The images with all keys, by id; adds a problem for each other one."""
    usable = []
    for place, image in images:
        faults = [*missing_keys(image, ("id", "file_name", "height", "width"))]
        if image.get("id") is not None:
            faults += id_fault(image, "id")
        name = image.get("file_name")
        if name is not None and (not isinstance(name, str) or not name):
            faults.append((f"file_name {show(name)}", "the name of a picture"))
        faults += [
            (f"{side} {show(image[side])}", "a number above 0")
            for side in ("height", "width")
            if image.get(side) is not None and not (is_number(image[side]) and image[side] > 0)
        ]
        problems += entry_problems(file, f"images[{place}] has", faults)
        if not faults:
            usable.append(image)
    problems += [Problem(file, *fault) for fault in repeated_ids(usable, "images")]
    return {image["id"]: image for image in usable}


def picture_problems(
    image: Mapping[str, Any], img_dir: Path, ann_file: Path, min_size: int = 0
) -> list[Problem]:
    """Read the picture of an image and compare its size with the JSON.

    Args:
        image: its entry in the JSON.
        img_dir: folder of the pictures.
        ann_file: the JSON.
        min_size: side in pixels under which pictures are left out.
    """
    file = img_dir / image["file_name"]
    if not is_file(file):
        return [Problem(file, no_such("file", file), f"a picture, for {ann_file} lists it")]
    problems: list[Problem] = []
    size = try_reading(whole_size, file, problems)
    listed = image["height"], image["width"]
    if size is not None and size != listed:
        expected = f"{size_text(listed)} as in {ann_file}"
        problems.append(Problem(file, f"picture is {size_text(size)}", expected))
    if min(listed) < min_size:
        found = f"picture of {size_text(listed)}, which the loader leaves out"
        problems.append(Problem(file, found, f"{min_size} or more (filter_cfg.min_size)"))
    return problems
