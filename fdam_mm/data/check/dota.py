"""Check DOTA patches, as mmrotate reads them: pictures, and a text file for each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely

from fdam_mm.data.formats.dota import is_header, parse_label
from fdam_mm.data.prepare.dota_patches import polygons, shares_shown
from fdam_mm.errors import ConfigError

from .problems import (
    Problem,
    Progress,
    Report,
    is_folder,
    no_such,
    shorten,
    show,
    try_reading,
    whole_size,
)

if TYPE_CHECKING:
    from mmrotate.datasets import DOTADataset

_LEAST_SHARE = 0.5  # of an object's area on its picture; the splitter leaves 0.7
_LINE = "x1 y1 x2 y2 x3 y3 x4 y4 category difficult"


@dataclass(frozen=True)
class DotaSet:
    """Pictures with oriented objects.

    Attributes:
        img_dir: folder of the pictures.
        ann_dir: folder of a text file for each picture; None in a set without labels.
        suffix: of the pictures.
        classes: the config's names of the categories.
        most_difficult: of the objects to learn.
    """

    img_dir: Path
    ann_dir: Path | None
    suffix: str
    classes: tuple[str, ...]
    most_difficult: int = 100

    def check(self, progress: Progress = iter) -> Report:
        """Read every picture and label file and report all problems."""
        folders = [(self.img_dir, self.suffix)]
        if self.ann_dir:
            folders.append((self.ann_dir, ".txt"))
        problems = [fault for folder in folders for fault in _folder_problems(*folder)]
        if problems:
            return Report(problems=problems)
        images = {file.name[: -len(self.suffix)]: file for file in _files(*folders[0])}
        labels = {file.stem: file for file in _files(*folders[-1])} if self.ann_dir else {}
        if self.ann_dir:
            problems += [
                Problem(images[name], "picture without labels", str(self.ann_dir / f"{name}.txt"))
                for name in sorted(images.keys() - labels.keys())
            ]
        problems += [
            Problem(labels[name], "labels without picture", f"{self.img_dir / name}{self.suffix}")
            for name in sorted(labels.keys() - images.keys())
        ]
        for name in progress(sorted(images)):
            size = try_reading(whole_size, images[name], problems)
            if name in labels:
                problems += self._label_problems(labels[name], size)
        return Report(len(images), problems)

    def _label_problems(self, file: Path, size: tuple[int, int] | None) -> Iterator[Problem]:
        """Yield what is wrong with a label file of a picture of (height, width), if known."""
        try:
            lines = file.read_text(encoding="utf-8").split("\n")  # as mmrotate reads them
        except (OSError, ValueError) as error:
            yield Problem(file, f"unreadable ({error})", "a text file")
            return
        if not lines[-1]:
            lines.pop()
        for number, line in enumerate(lines, start=1):
            where = Path(f"{file}:{number}")
            if is_header(line, at_top=True) or not line.strip():
                found = f"a header or empty line {show(line)}, at which mmrotate stops"
                yield Problem(where, found, _LINE)
                continue
            try:
                numbers, category, difficulty = parse_label(line)
            except ValueError as error:
                found, expected = str(error).rsplit(", expected ", 1)
                yield Problem(where, found, expected)
                continue
            if len(line.split()) == 9:
                yield Problem(where, "no difficulty", _LINE)
            if category not in self.classes:
                expected = f"one of {shorten(self.classes, most=20)}"
                yield Problem(where, f"category {show(category)}", expected)
            if difficulty > self.most_difficult:
                found = f"difficulty {difficulty}, for which mmrotate ignores the object"
                yield Problem(where, found, f"{self.most_difficult} or less (diff_thr)")
            yield from _box_problems(where, np.reshape(numbers, (1, 4, 2)), size)


def dota_set(dataset: "DOTADataset", split: str) -> DotaSet:
    """Read the settings of one of mmrotate's DOTA data sets.

    Raises:
        ConfigError: it names no folder of pictures.
    """
    if not dataset.data_prefix.get("img_path"):
        raise ConfigError(
            f"{split}: data_prefix is {dataset.data_prefix}, expected a folder in img_path"
        )
    return DotaSet(
        img_dir=Path(dataset.data_prefix["img_path"]),
        ann_dir=Path(dataset.ann_file) if dataset.ann_file else None,
        suffix=f".{dataset.img_suffix}",
        classes=tuple(dataset.metainfo["classes"]),
        most_difficult=dataset.diff_thr,
    )


def _box_problems(
    where: Path, corners: np.ndarray, size: tuple[int, int] | None
) -> Iterator[Problem]:
    shape = polygons(corners)
    if shapely.area(shape)[0] == 0:
        yield Problem(where, "corners on one line", "a box with an area")
        return
    if size is None:
        return
    height, width = size
    share = shares_shown(shape, shapely.box(0, 0, width, height))[0]
    if share < _LEAST_SHARE:
        found = f"a box with {share:.0%} of its area on the picture of {width} x {height}"
        yield Problem(where, found, f"at least {_LEAST_SHARE:.0%}; split the data again")


def _folder_problems(folder: Path, suffix: str) -> Iterator[Problem]:
    expected = f"a folder with *{suffix} files"
    if not is_folder(folder):
        expected += "; tools/prepare_data.py dota makes it, or set the data's root"
        yield Problem(folder, no_such("folder", folder), expected)
    elif not _files(folder, suffix):
        yield Problem(folder, f"no *{suffix} file", expected)


def _files(folder: Path, suffix: str) -> list[Path]:
    """As glob finds them, which passes over names that start with a dot."""
    return sorted(file for file in folder.glob(f"*{suffix}") if not file.name.startswith("."))
