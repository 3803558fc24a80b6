"""Check HRSC and DIOR, as mmrotate reads them: a list of pictures, and an XML for each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree.ElementTree import Element

from fdam_mm.data.formats.xml_tree import read_xml
from fdam_mm.errors import ConfigError, LabelError

from .coco_json import Fault, entry_problems
from .problems import (
    Problem,
    Progress,
    Report,
    folder_problems,
    is_file,
    is_folder,
    no_such,
    shorten,
    show,
    try_reading,
    whole_size,
)
from .values import is_number

if TYPE_CHECKING:
    from mmengine.dataset import BaseDataset

_CORNERS = ("left_top", "right_top", "right_bottom", "left_bottom")
_QUAD = tuple(f"{axis}_{corner}" for corner in _CORNERS for axis in "xy")
_UPRIGHT = ("xmin", "ymin", "xmax", "ymax")
_ROTATED = ("mbox_cx", "mbox_cy", "mbox_w", "mbox_h", "mbox_ang")


class Layout(NamedTuple):
    """What the XMLs of a data set hold; paths are ElementTree's."""

    whole: tuple[str, ...]  # whole numbers of the picture
    objects: str
    name: str | None  # of an object: its class; None where that is not read
    box: str | None  # of an object: what holds the numbers; None for itself
    numbers: tuple[str, ...]
    whole_numbers: tuple[str, ...] = ()  # of an object
    box_optional: bool = False  # whether objects without one are dropped
    any_case: bool = False  # whether classes are read in lower case


_HRSC = Layout(
    whole=("Img_SizeWidth",),
    objects="HRSC_Objects/HRSC_Object",
    name=None,
    box=None,
    numbers=_ROTATED,
    whole_numbers=("header_x", "header_y"),
)
_DIOR = Layout(
    whole=("size/width", "size/height"),
    objects="object",
    name="name",
    box="robndbox",
    numbers=_QUAD,
    any_case=True,
)


@dataclass(frozen=True)
class XmlSet:
    """Listed pictures with oriented objects.

    Attributes:
        list_file: a text file with a picture's name, less its suffix, a line.
        img_dir: folder of the pictures.
        suffix: of the pictures.
        ann_dir: folder of the XMLs.
        classes: what the name of a class may be; empty where it is not read.
        layout: of the XMLs.
    """

    list_file: Path
    img_dir: Path
    suffix: str
    ann_dir: Path
    classes: tuple[str, ...]
    layout: Layout

    def check(self, progress: Progress = iter) -> Report:
        """Read every listed picture and XML and report all problems."""
        problems = folder_problems(self.img_dir)
        if not is_folder(self.ann_dir):
            problems.append(Problem(self.ann_dir, no_such("folder", self.ann_dir), "XML files"))
        names = self._names(problems)
        if problems:
            return Report(problems=problems)
        for name in progress(names):
            picture, file = self.img_dir / f"{name}{self.suffix}", self.ann_dir / f"{name}.xml"
            for needed in (picture, file):
                if not is_file(needed):
                    expected = f"one, for {self.list_file} lists it"
                    problems.append(Problem(needed, no_such("file", needed), expected))
            if is_file(picture):
                try_reading(whole_size, picture, problems)
            if is_file(file):
                problems += self._label_problems(file)
        return Report(len(names), problems)

    def _names(self, problems: list[Problem]) -> list[str]:
        expected = "a list of picture names"
        try:
            lines = self.list_file.read_text(encoding="utf-8").rstrip("\n").split("\n")
        except (OSError, ValueError) as error:
            reason = f"unreadable ({error})"
            if isinstance(error, FileNotFoundError):
                reason = no_such("file", self.list_file)
            problems.append(Problem(self.list_file, reason, expected))
            return []
        if lines == [""]:
            problems.append(Problem(self.list_file, "no names", expected))
            return []
        problems += [
            Problem(Path(f"{self.list_file}:{number}"), "an empty line", "the name of a picture")
            for number, line in enumerate(lines, start=1)
            if not line.strip()
        ]
        return lines

    def _label_problems(self, file: Path) -> Iterator[Problem]:
        try:
            root = read_xml(file)
        except LabelError as error:
            found, expected = str(error).removeprefix(f"{file}: ").rsplit(", expected ", 1)
            yield Problem(file, found, expected)
            return
        layout = self.layout
        # without a size DIOR's reader takes the picture's
        paths = layout.whole if "/" not in layout.whole[0] or root.find("size") is not None else ()
        yield from entry_problems(file, "picture:", _number_faults(root, paths, int))
        for number, entry in enumerate(root.findall(layout.objects), start=1):
            faults = self._object_faults(entry)
            yield from entry_problems(file, f"object {number}:", faults)

    def _object_faults(self, entry: Element) -> Iterator[Fault]:
        layout = self.layout
        if layout.name:
            name = entry.findtext(layout.name) or ""
            if (name.lower() if layout.any_case else name) not in self.classes:
                yield f"class {show(name)}", f"one of {shorten(self.classes, most=20)}"
        box = entry if layout.box is None else entry.find(layout.box)
        if box is None:
            dropped = ", or it is dropped" if layout.box_optional else ""
            yield f"no {layout.box}", f"the numbers {', '.join(layout.numbers)}{dropped}"
            return
        faults = list(_number_faults(box, layout.numbers, float))
        yield from faults
        yield from _number_faults(entry, layout.whole_numbers, int)
        if not faults and _area([float(box.findtext(path)) for path in layout.numbers]) <= 0:
            yield "a box without area", "one with an area"


def _number_faults(parent: Element, paths: tuple[str, ...], kind: Callable) -> Iterator[Fault]:
    """At most one fault: what is no number among the texts at the paths."""
    wrong = []
    for path in paths:
        text = parent.findtext(path)
        try:
            good = text is not None and is_number(kind(text))
        except (ValueError, OverflowError):
            good = False
        if not good:
            wrong.append(f"{path} {show(text)}" if text is not None else f"no {path}")
    if wrong:
        yield " and ".join(wrong), f"{'whole ' * (kind is int)}numbers {', '.join(paths)}"


def _area(numbers: list[float]) -> float:
    """Of a rotated box (5 numbers), an upright one (4) or one of four corners (8)."""
    if len(numbers) == 5:
        return max(numbers[2], 0) * max(numbers[3], 0)
    if len(numbers) == 4:
        left, top, right, bottom = numbers
        return max(right - left, 0) * max(bottom - top, 0)
    xs, ys = numbers[0::2], numbers[1::2]
    return abs(sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(4))) / 2


def hrsc_set(dataset: "BaseDataset", split: str) -> XmlSet:
    """Read the settings of mmrotate's HRSC data set.

    Raises:
        ConfigError: it names no list.
    """
    root = Path(dataset.sub_data_root)
    ids = tuple("1" + "0" * 6 + number for number in dataset.metainfo.get("classes_id", ()))
    return XmlSet(
        list_file=_list_of(dataset, split),
        img_dir=root / dataset.img_subdir,
        suffix=".bmp",
        ann_dir=root / dataset.ann_subdir,
        classes=ids if dataset.classwise else (),
        layout=_HRSC._replace(name="Class_ID") if dataset.classwise else _HRSC,
    )


def dior_set(dataset: "BaseDataset", split: str) -> XmlSet:
    """Read the settings of mmrotate's DIOR data set.

    Raises:
        ConfigError: it names no list or no folder of pictures.
    """
    folder = dataset.data_prefix.get("img_path")
    if not folder:
        raise ConfigError(
            f"{split}: data_prefix is {dataset.data_prefix}, expected a folder in img_path"
        )
    upright = _DIOR._replace(box="bndbox", numbers=_UPRIGHT, box_optional=True)
    return XmlSet(
        list_file=_list_of(dataset, split),
        img_dir=Path(folder),
        suffix=".jpg",
        ann_dir=Path(dataset.data_root or "", dataset.ann_subdir),
        classes=tuple(dataset.metainfo["classes"]),
        layout=_DIOR if dataset.ann_type == "obb" else upright,
    )


def _list_of(dataset: "BaseDataset", split: str) -> Path:
    if not dataset.ann_file:
        raise ConfigError(f"{split}: there is no ann_file, expected a list of picture names")
    return Path(dataset.ann_file)
