"""DOTA as it is published: where its pictures are, and the format of its label files.

    SRC/{train,val,test}/images/NAME.png
    SRC/{train,val,test}/labelTxt/NAME.txt      none for the test set

Also `labelTxt-v1.0`, `labelTxt-v1.5` or `labelTxt-v2.0`, and the folders that their archives have.
A label file may begin with lines such as `imagesource:` and `gsd:`. Each line after them is an
object: `x1 y1 x2 y2 x3 y3 x4 y4 category difficult`, in pixels, around the object.
"""

import codecs
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fdam_mm.errors import LabelError, LayoutError

SPLITS = ("train", "val", "test")
_IMAGE_FOLDERS = ("images", "images/images")  # the second after unpacking in place
_LABEL_FOLDER = "labelTxt"
_UPRIGHT = ("hbb", "reclabel")  # in the names of folders whose boxes are upright, not oriented
_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_HEADERS = ("imagesource", "gsd")
_FARTHEST = 1e6  # pixels; geometry and mmcv's operators end badly far above
_DIGITS = 9  # of a difficulty


@dataclass(frozen=True, eq=False)
class Labels:
    """The objects of a picture.

    Attributes:
        corners: (N, 4, 2) float64, x and y in pixels.
        categories: N names.
        difficult: N numbers; 0 is an easy object, 1 a difficult one, 2 one that a window cuts.
    """

    corners: np.ndarray
    categories: list[str]
    difficult: list[int]


@dataclass(frozen=True)
class Picture:
    """A picture of the source; `labels` is its label file, None in a set without labels."""

    name: str
    image: Path
    labels: Path | None


def find_pictures(folder: Path) -> tuple[list[Picture], list[str]]:
    """Find the pictures of `SRC/train`, `SRC/val` or `SRC/test`.

    Returns:
        The pictures, sorted by name, and a line for each that cannot be used: without a label
        file where others have one, with a twin of another format, or a label file on its own.

    Raises:
        LayoutError: there are no pictures, or no labels for training.
    """
    image_folder = _first_with(folder, _IMAGE_FOLDERS, _SUFFIXES)
    if image_folder is None:
        zips = sorted((folder / "images").glob("*.zip"))
        advice = f"; unpack {zips[0].name} and the others there" if zips else ""
        raise LayoutError(f"{folder / 'images'}: no pictures, expected NAME.png files{advice}")
    label_folder = _label_folder(folder)
    if label_folder is None and folder.name != "test":
        raise LayoutError(
            f"{folder / 'labelTxt'}: no label files, expected a NAME.txt for each picture"
        )
    images: dict[str, Path] = {}
    problems: list[str] = []
    for file in _files(image_folder, _SUFFIXES):
        if file.stem in images:
            problems.append(f"{file}: {images[file.stem].name} has the same name, expected one")
        else:
            images[file.stem] = file
    if label_folder is None:
        return [Picture(name, images[name], None) for name in sorted(images)], problems
    labels = {file.stem: file for file in _files(label_folder, (".txt",))}
    problems += [
        f"{images[name]}: no label file, expected {label_folder / name}.txt (empty if it has no "
        "objects)"
        for name in sorted(images.keys() - labels.keys())
    ]
    problems += [
        f"{labels[name]}: no picture, expected {image_folder / name}.png"
        for name in sorted(labels.keys() - images.keys())
    ]
    names = sorted(images.keys() & labels.keys())
    return [Picture(name, images[name], labels[name]) for name in names], problems


def read_labels(file: Path) -> Labels:
    """Read a label file.

    Raises:
        LabelError: the file cannot be read, or a line is wrong.
    """
    rows: list[tuple[list[float], str, int]] = []
    for number, line in label_lines(file):
        try:
            rows.append(parse_label(line))
        except ValueError as error:
            raise LabelError(f"{file}:{number}: {error}") from error
    return Labels(
        corners=np.array([row[0] for row in rows], dtype=np.float64).reshape(-1, 4, 2),
        categories=[row[1] for row in rows],
        difficult=[row[2] for row in rows],
    )


def label_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines that hold objects.

    Raises:
        LabelError: the file cannot be read.
    """
    try:
        lines = file.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError as error:
        raise LabelError(f"{file}: unreadable ({error}), expected text") from error
    at_top = True
    for number, line in enumerate(lines, start=1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            if at_top and is_header(line.decode("latin-1"), at_top):
                continue
            raise LabelError(f"{file}: unreadable ({error}), expected text") from error
        if text.strip() and not is_header(text, at_top):
            at_top = False
            yield number, text


def is_header(line: str, at_top: bool) -> bool:
    """Whether a line is `key: value` and no object; after an object, only with a known key."""
    key, colon, _ = line.partition(":")
    if not colon:
        return False
    return key.strip().lower() in _HEADERS or (at_top and not _starts_with_numbers(line))


def _starts_with_numbers(line: str) -> bool:
    try:
        return len([float(item) for item in line.split()[:2]]) == 2
    except ValueError:
        return False


def parse_label(line: str) -> tuple[list[float], str, int]:
    """Return the 8 coordinates, the category and the difficulty, 0 when it is left out.

    Raises:
        ValueError: the line is wrong; the message does not name it.
    """
    items = line.split()
    if len(items) not in (9, 10):
        raise ValueError(
            f"{len(items)} items, expected x1 y1 x2 y2 x3 y3 x4 y4 category difficult"
        )
    try:
        corners = [float(item) for item in items[:8]]
    except ValueError as error:
        raise ValueError(f"{error}, expected 8 numbers and then the category") from error
    if not all(map(math.isfinite, corners)):
        raise ValueError(f"coordinates {' '.join(items[:8])}, expected finite numbers")
    if max(map(abs, corners)) > _FARTHEST:
        raise ValueError(f"coordinates {' '.join(items[:8])}, expected pixels near the picture")
    difficult = items[9] if len(items) == 10 else "0"
    if not difficult.isdecimal() or len(difficult) > _DIGITS:
        raise ValueError(f"difficulty {difficult!r}, expected 0 or 1")
    return corners, items[8], int(difficult)


def format_labels(labels: Labels) -> str:
    """Return the text of a label file without a header; coordinates have at most 3 decimals."""
    lines: list[str] = []
    items = zip(labels.corners, labels.categories, labels.difficult, strict=True)
    for corners, category, difficult in items:
        numbers = (str(round(x, 3) + 0.0) for x in corners.ravel().tolist())  # + 0.0 for -0.0
        lines.append(" ".join([*numbers, category, str(difficult)]))
    return "".join(f"{line}\n" for line in lines)


def _label_folder(folder: Path) -> Path | None:
    """Return the folder of the label files, None without one.

    Raises:
        LayoutError: several versions have some, and none is plainly called `labelTxt`.
    """
    found = _with_labels(folder / _LABEL_FOLDER)
    if not found:
        tops = sorted(folder.glob(f"{_LABEL_FOLDER}*"))
        found = [labels for top in tops for labels in _with_labels(top)]
    if len(found) > 1:
        names = " and ".join(str(labels.relative_to(folder)) for labels in found)
        raise LayoutError(
            f"{folder}: label files in {names}, expected one folder of them; rename the one to "
            f"use to {_LABEL_FOLDER}"
        )
    return found[0] if found else None


def _with_labels(top: Path) -> list[Path]:
    """A folder that has label files, or those of its subfolders that do."""
    if not top.is_dir():
        return []
    if _files(top, (".txt",)):
        return [top]
    inner = [part for part in sorted(top.iterdir()) if part.is_dir() and _files(part, (".txt",))]
    return [part for part in inner if not any(name in part.name.lower() for name in _UPRIGHT)]


def _first_with(folder: Path, names: tuple[str, ...], suffixes: tuple[str, ...]) -> Path | None:
    """Return the first of the subfolders that holds a file with one of the suffixes."""
    for name in names:
        if (folder / name).is_dir() and _files(folder / name, suffixes):
            return folder / name
    return None


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in suffixes and not file.name.startswith(".")
    )
