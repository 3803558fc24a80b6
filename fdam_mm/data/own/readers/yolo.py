"""YOLO: a text file for each picture, a class number and numbers from 0 to 1 a line.

Five numbers are a box (centre, width, height), nine the corners of a rotated box, more a polygon.
``data.yaml`` (or ``classes.txt``) has the names of the classes. Nine numbers may be a polygon of
four points too: where all lines of a set have nine, and some are not upright, they are rotated
boxes.
"""

from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import yaml

from fdam_mm.data.check.problems import Problem, shorten
from fdam_mm.data.own.folder import Folder, read_text, split_of
from fdam_mm.data.own.labelled import (
    ClassInfo,
    LabelledObject,
    LabelledPicture,
    LabelledSet,
    ObjectLabels,
    Task,
)
from fdam_mm.data.own.pairs import name_of, pair
from fdam_mm.data.own.shapes import box_of, is_upright
from fdam_mm.data.pictures.header import read_header
from fdam_mm.errors import LabelError

from .class_names import FILES as NAME_FILES
from .class_names import class_names

NAME = "yolo"
LOOKED_FOR = "labels/NAME.txt of a class and numbers from 0 to 1, with a data.yaml"

_FOLDERS = ("labels", "label")
_YAML = 1 << 20  # bytes of a data.yaml
_SPLIT_KEYS = ("train", "val", "test")


class _Row(NamedTuple):
    number: int  # of the line
    category: int
    values: np.ndarray  # (n,)


def detects(folder: Folder) -> bool:
    return any(_is_yolo(folder, file) for file in _label_files(folder)[:1000])


def _label_files(folder: Folder) -> list[PurePosixPath]:
    names = {*NAME_FILES, "readme.txt"}
    pictures = {file.with_suffix("") for file in folder.pictures}
    return [
        file
        for file in folder.with_suffix(".txt")
        if file.name.lower() not in names
        and (
            any(p.lower() in _FOLDERS for p in file.parts[:-1]) or file.with_suffix("") in pictures
        )
    ]


def _is_yolo(folder: Folder, file: PurePosixPath) -> bool:
    """Whether the file's first line is of YOLO; an empty file says nothing."""
    try:
        rows = _rows(folder, file)
    except LabelError:
        return False
    return bool(rows) and rows[0].values.min() > -1 and rows[0].values.max() < 2


def _rows(folder: Folder, file: PurePosixPath) -> list[_Row]:
    """The lines of a file. Raises LabelError where one is wrong."""
    path = folder.path(file)
    found = []
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise LabelError(f"{path}: unreadable ({error}), expected text") from error
    for number, line in enumerate(lines, start=1):
        items = line.split()
        if not items:
            continue
        try:
            values = np.array([float(item) for item in items[1:]])
            category = int(items[0])
        except ValueError as error:
            raise LabelError(f"{path}:{number}: {error}, expected a class and numbers") from error
        is_odd = len(values) % 2 == 1
        if len(values) < 4 or (is_odd and len(values) > 4) or not np.isfinite(values).all():
            raise LabelError(
                f"{path}:{number}: {len(values)} numbers behind the class, expected 4 of a box, 8 "
                "of a rotated box, or an even count from 6 on of a polygon"
            )
        if np.abs(values).max() > 10 or category < 0:
            raise LabelError(
                f"{path}:{number}: {line.strip()[:60]!r}, expected a class from 0 on and numbers "
                "from 0 to 1, parts of the picture's width and height"
            )
        found.append(_Row(number, category, values))
    return found


def open_set(folder: Folder) -> LabelledSet:
    """Raises LabelError where data.yaml or the first label file of a kind is broken."""
    problems: list[Problem] = []
    files = _label_files(folder)
    pairs = pair(folder, folder.pictures, files, _FOLDERS)
    problems += pairs.problems
    names, is_pose = _names(folder, problems)
    rows: dict[PurePosixPath, list[_Row]] = {}
    for _, file in pairs.matched:
        try:
            rows[file] = _rows(folder, file)
        except LabelError as error:
            place, _, rest = str(error).partition(": ")
            found, _, expected = rest.rpartition(", expected ")
            problems.append(Problem(folder.root / place, found, expected))
    every = [row.values for found in rows.values() for row in found]
    numbers = {row.category for found in rows.values() for row in found}
    unnamed = sorted(numbers - names.keys())
    if unnamed:
        text = f"classes {shorten(unnamed)} without a name"
        problems.append(Problem(folder.root, text, "their names in data.yaml or classes.txt"))
    names |= {number: f"class_{number}" for number in unnamed}
    order = sorted(names)
    label_of = {number: label for label, number in enumerate(order)}
    task, details = _kind(every)
    if is_pose:
        raise LabelError(
            f"{folder.root}: data.yaml has kpt_shape: points of bodies, expected boxes or polygons"
        )
    of_file = {folder.path(file): found for file, found in rows.items()}

    def read(picture: LabelledPicture) -> ObjectLabels:
        if picture.label_file is None:
            return ObjectLabels(())
        height, width = read_header(picture.image).size
        return ObjectLabels(
            tuple(
                _object(row, label_of[row.category], width, height, task)
                for row in of_file[picture.label_file]
            )
        )

    pictures = [
        LabelledPicture(name_of(image), folder.path(image), split_of(image), folder.path(file))
        for image, file in pairs.matched
        if file in rows
    ]
    pictures += [  # YOLO: a picture without a file has no objects
        LabelledPicture(name_of(image), folder.path(image), split_of(image), None)
        for image in pairs.without_labels
    ]
    return LabelledSet(
        folder.root, NAME, details, task,
        tuple(ClassInfo(names[number], number) for number in order),
        tuple(sorted(pictures, key=lambda p: (p.split or "", p.name))), read, tuple(problems),
    )  # fmt: skip


def _kind(rows: list[np.ndarray]) -> tuple[Task, str]:
    lengths = {len(values) for values in rows}
    if lengths == {8} and not all(is_upright(values.reshape(4, 2)) for values in rows):
        return "oriented", "corners of rotated boxes"
    if lengths - {4}:
        return "instance", "polygons" if 4 not in lengths else "polygons and boxes"
    return "detection", "boxes"


def _object(row: _Row, label: int, width: int, height: int, task: Task) -> LabelledObject:
    values = row.values
    if len(values) == 4:
        x, y, w, h = (values * [width, height, width, height]).tolist()
        return LabelledObject(label, (x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    points = values.reshape(-1, 2) * [width, height]
    if task == "oriented":
        return LabelledObject(label, box_of(points), corners=points)
    return LabelledObject(label, box_of(points), (points,))


def _names(folder: Folder, problems: list[Problem]) -> tuple[dict[int, str], bool]:
    """Names by class number, and whether the labels are points of bodies."""
    file = next(
        (
            f
            for f in sorted(folder.with_suffix(".yaml", ".yml"), key=lambda f: len(f.parts))
            if b"names" in folder.path(f).read_bytes()[:_YAML]
        ),
        None,
    )
    if file is None:
        given = class_names(folder)
        return ({} if given is None else dict(given.names)), False
    path = folder.path(file)
    expected = "expected names: [...] or names: {0: ...}"
    try:
        text = read_text(path)
        if len(text) > _YAML or "&" in text and "*" in text and len(text) > 4096:
            raise ValueError("it is too large")
        data: Any = yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise LabelError(f"{path}: unreadable ({reason}), {expected}") from error
    if not isinstance(data, dict):
        raise LabelError(f"{path}: {data!r:.60}, {expected}")
    names = data.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    try:
        found = {int(number): str(name) for number, name in dict(names or ()).items()}
    except (TypeError, ValueError) as error:
        raise LabelError(f"{path}: names are {names!r:.60}, {expected}") from error
    count = data.get("nc")
    if isinstance(count, int) and count != len(found):
        text = f"nc: {count} beside {len(found)} names"
        problems.append(Problem(path, text, "one name for each class"))
    return found, "kpt_shape" in data
