"""What lies in a folder: its files by kind, and which of them are pictures of which labels."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from fdam_mm.errors import LayoutError, MissingFileError

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_MOST = 2_000_000  # files of a folder
_LARGEST = 1 << 30  # bytes of one text file of labels

SPLITS = {
    "train": "train", "training": "train", "train2017": "train", "train2014": "train",
    "val": "val", "valid": "val", "validation": "val", "val2017": "val", "val2014": "val",
    "test": "test", "testing": "test", "test2017": "test",
}  # fmt: skip
"""Words in names of folders and files, and the split that they mean."""


@dataclass(frozen=True, eq=False)
class Folder:
    """A folder and its files; what starts with a dot is passed over.

    Attributes:
        root: The folder.
        files: Paths relative to it, sorted.
    """

    root: Path
    files: tuple[PurePosixPath, ...]

    @staticmethod
    def open(root: str | Path) -> "Folder":
        """List a folder; links to folders are followed, each place once.

        Raises:
            MissingFileError: It is no folder.
            LayoutError: It has more files than anyone labels.
        """
        root = Path(root).expanduser()
        if not root.is_dir():
            raise MissingFileError(f"{root}: no such folder, expected one with pictures")
        found = []
        for file in _walk(root):
            found.append(file)
            if len(found) > _MOST:
                raise LayoutError(f"{root} has more than {_MOST} files; name a folder inside")
        return Folder(root, tuple(sorted(found)))

    @cached_property
    def pictures(self) -> tuple[PurePosixPath, ...]:
        """Files with the suffix of a picture, label maps among them."""
        return tuple(file for file in self.files if file.suffix.lower() in PICTURES)

    def with_suffix(self, *suffixes: str) -> list[PurePosixPath]:
        """Files with one of the suffixes."""
        return [file for file in self.files if file.suffix.lower() in suffixes]

    def named(self, *names: str) -> PurePosixPath | None:
        """The first file of these names that lies nearest to the root."""
        found = [file for name in names for file in self.files if file.name.lower() == name]
        return min(found, key=lambda file: len(file.parts), default=None)

    def path(self, file: PurePosixPath | str) -> Path:
        """Where a file of the folder lies."""
        return self.root / file

    def inside(self, name: str, start: PurePosixPath) -> PurePosixPath | None:
        """A path that a file in ``start`` names, relative to the root; None outside of it.

        Absolute paths are outside, whatever they name: they are of another machine.
        """
        text = name.replace("\\", "/")
        if "\0" in text or text.startswith("/") or re.match(r"[A-Za-z]:", text):
            return None
        parts: list[str] = []
        for part in (start / text).parts:
            if part == "..":
                if not parts:
                    return None
                parts.pop()
            elif part != ".":
                parts.append(part)
        return PurePosixPath(*parts)

    @cached_property
    def _known(self) -> frozenset[PurePosixPath]:
        return frozenset(self.files)

    @cached_property
    def _by_name(self) -> dict[str, list[PurePosixPath]]:
        found: dict[str, list[PurePosixPath]] = {}
        for file in self.pictures:
            found.setdefault(file.name, []).append(file)
        return found

    def has(self, file: PurePosixPath | None) -> bool:
        """Whether it is one of the files."""
        return file in self._known

    def find_picture(
        self, name: str, start: PurePosixPath, split: str | None = None
    ) -> PurePosixPath | None:
        """The picture that a label file in ``start`` names.

        It is looked for beside that file, below the root, and where folders of pictures are: then
        the only one of its name, or the only one of the split. None where there is none, or
        several.
        """
        tops = (start, PurePosixPath(), PurePosixPath("images"), start.parent / "images")
        for base in [*([top / split for top in tops] if split else ()), *tops]:
            place = self.inside(name, base)
            if place is not None and self.has(place):
                return place
        last = PurePosixPath(name.replace("\\", "/")).name
        found = self._by_name.get(last, [])
        ending = self.inside(name, PurePosixPath())
        if ending is not None and len(found) > 1:
            ends = [f for f in found if f.parts[-len(ending.parts) :] == ending.parts]
            found = ends or found
        if len(found) > 1 and split is not None:
            found = [file for file in found if split_of(file) == split]
        return found[0] if len(found) == 1 else None


def split_of(file: PurePosixPath) -> str | None:
    """The split that a path names: by one of its folders, else by a word of its name."""
    for part in reversed(file.parts[:-1]):
        if part.lower() in SPLITS:
            return SPLITS[part.lower()]
    return None


def split_of_name(name: str) -> str | None:
    """The split that a file's name says, such as ``instances_train2017``; of one word alone."""
    words = {SPLITS[word] for word in re.split(r"[^a-z0-9]+", name.lower()) if word in SPLITS}
    return words.pop() if len(words) == 1 else None


def read_text(file: Path) -> str:
    """A text file of labels, without its byte order mark.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no text, or of a size that no labels have.
    """
    with file.open("rb") as stream:
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"larger than {_LARGEST >> 20} MiB")
    return data.decode("utf-8-sig")


def _walk(root: Path) -> Iterator[PurePosixPath]:
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(root, followlinks=True):
        status = os.stat(parent)
        place = status.st_dev, status.st_ino
        if place in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        relative = PurePosixPath(Path(parent).relative_to(root).as_posix())
        for name in names:
            if not name.startswith("."):
                yield relative / name
