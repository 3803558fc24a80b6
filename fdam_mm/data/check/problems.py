"""What the checks of data sets say, and how they read pictures."""

import reprlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fdam_mm.data.pictures.rows import PictureSize, picture_size
from fdam_mm.errors import PictureError

_LONGEST = 60  # characters of one value
_LINE = 1000  # characters of what was found
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = _LONGEST

Read = TypeVar("Read")
Progress = Callable[[list], Iterable]
"""Wraps the list of things to check, to show how far the check is (`tqdm` fits)."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one file or folder."""

    path: Path
    found: str
    expected: str

    def __str__(self) -> str:
        """One line that can be printed, whatever is in the data."""
        text = f"{self.path}: {self.found[:_LINE]}, expected {self.expected}"
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


@dataclass
class Report:
    """Result of a check.

    Attributes:
        num_pictures: pictures that were read, with their annotations.
        problems: all that is wrong, folders and names first.
    """

    num_pictures: int = 0
    problems: list[Problem] = field(default_factory=list)


def try_reading(read: Callable[[Path], Read], file: Path, problems: list[Problem]) -> Read | None:
    """Return `read(file)`, or None after adding a problem where it raises a PictureError."""
    try:
        return read(file)
    except PictureError as error:
        found, expected = str(error).removeprefix(f"{file}: ").rsplit(", expected ", 1)
        problems.append(Problem(file, found, expected))
        return None


def whole_size(file: Path) -> PictureSize:
    """Decode a whole picture and return its size.

    Raises:
        PictureError: it cannot be read.
    """
    return picture_size(file, whole=True)


def size_text(shape: tuple[int, ...]) -> str:
    """Say a shape (H, W, ...) in words."""
    return f"{shape[0]} high and {shape[1]} wide"


def no_such(kind: str, path: Path) -> str:
    """Say that a file or folder is missing, and from where a relative path was looked up."""
    return f"no such {kind}" if path.is_absolute() else f"no such {kind} in {Path.cwd()}"


def folder_problems(folder: Path | None) -> list[Problem]:
    """At most one problem: a folder of pictures that is not there."""
    if folder is None or is_folder(folder):
        return []
    expected = "a folder of pictures; prepare the data or set its root"
    return [Problem(folder, no_such("folder", folder), expected)]


def is_file(path: Path) -> bool:
    """Whether it is a file; what no name of a file can be, such as an overlong one, is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether it is a folder; as for `is_file`."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def show(value: Any) -> str:
    """A value of the data in short, however long or deep it is."""
    return _SHORT.repr(value)


def shorten(values: Iterable[Any], most: int = 8) -> str:
    """The first values, and how many more there are."""
    texts = [value if isinstance(value, str) else show(value) for value in values]
    texts = [text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..." for text in texts]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
