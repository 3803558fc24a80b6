"""What the checks of data sets say, and how they read pictures."""

import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

_ORIENTATION = 0x0112  # the EXIF tag; 5 to 8 swap height and width
UNREADABLE = (
    OSError,
    SyntaxError,  # Pillow's, for a broken PNG
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

Progress = Callable[[list], Iterable]
"""Wraps the list of things to check, to show how far the check is (`tqdm` fits)."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one file or folder."""

    path: Path
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path}: {self.found}, expected {self.expected}"


@dataclass
class Report:
    """Result of a check.

    Attributes:
        num_pictures: pictures that were read, with their annotations.
        problems: all that is wrong, folders and names first.
    """

    num_pictures: int = 0
    problems: list[Problem] = field(default_factory=list)


def read_picture(file: Path, use: Callable[[Image.Image], Any], problems: list[Problem]) -> Any:
    """Decode a whole picture and return `use(picture)`, or None after adding a problem."""
    try:
        with Image.open(file) as picture:
            picture.load()
            return use(picture)
    except UNREADABLE as error:
        problems.append(Problem(file, f"unreadable ({error})", "a whole picture"))
        return None


def picture_size(picture: Image.Image) -> tuple[int, int]:
    """Return height and width after the rotation in the EXIF data, which mmcv applies."""
    width, height = picture.size
    turned = picture.getexif().get(_ORIENTATION, 1) >= 5
    return (width, height) if turned else (height, width)


def size_text(shape: tuple[int, ...]) -> str:
    """Say a shape (H, W, ...) in words."""
    return f"{shape[0]} high and {shape[1]} wide"


def no_such(kind: str, path: Path) -> str:
    """Say that a file or folder is missing, and from where a relative path was looked up."""
    return f"no such {kind}" if path.is_absolute() else f"no such {kind} in {Path.cwd()}"


def shorten(values: Iterable[Any], most: int = 8) -> str:
    """The first values, and how many more there are."""
    texts = [str(value) for value in values]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
