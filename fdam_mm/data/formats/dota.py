"""DOTA as it is published: where its pictures are, and the format of its label files.

    SRC/{train,val,test}/images/NAME.png
    SRC/{train,val,test}/labelTxt/NAME.txt      none for the test set

A label file may begin with `imagesource:` and `gsd:`. Each line after them is an object:
`x1 y1 x2 y2 x3 y3 x4 y4 category difficult`, in pixels, around the object.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fdam_mm.errors import LabelError, LayoutError

SPLITS = ("train", "val", "test")
_IMAGE_FOLDERS = ("images", "images/images")  # the second after unpacking in place
_LABEL_FOLDERS = ("labelTxt", "labelTxt-v1.0/labelTxt", "labelTxt-v1.0", "labelTxt/labelTxt")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
HEADERS = ("imagesource", "gsd")


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
    label_folder = _first_with(folder, _LABEL_FOLDERS, (".txt",))
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
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{file}: unreadable ({error}), expected text") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and line.split(":")[0].strip().lower() not in HEADERS:
            yield number, line


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
    difficult = items[9] if len(items) == 10 else "0"
    if not difficult.isdecimal():
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
