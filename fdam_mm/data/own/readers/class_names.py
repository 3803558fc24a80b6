"""Names and colours of classes that text files beside the labels give."""

import csv
import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from fdam_mm.data.own.folder import Folder, read_text
from fdam_mm.errors import LabelError

Colour = tuple[int, int, int]
FILES = (
    "classes.txt", "class_names.txt", "labels.txt", "classes.json", "labelmap.txt",
    "class_dict.csv", "label_colors.txt", "obj.names",
)  # fmt: skip
_MOST = 65536
_LARGEST = 1 << 32  # value of a pixel


@dataclass(frozen=True)
class ClassNames:
    """Names of classes.

    Attributes:
        names: By the number that the labels have.
        colours: By the same.
        are_numbered: Whether the file says the numbers itself; else names are counted from 0.
    """

    names: dict[int, str]
    colours: dict[int, Colour]
    are_numbered: bool = False

    def by_colour(self) -> dict[Colour, str]:
        """Names by colour."""
        return {colour: self.names[number] for number, colour in self.colours.items()}


def class_names(folder: Folder) -> ClassNames | None:
    """What the file that lies nearest to the root says; None where there is none.

    Read are a name a line (numbered from 0, or ``7: name``), ``labelmap.txt`` (CVAT:
    ``name:r,g,b::``), ``class_dict.csv`` (``name,r,g,b``), ``label_colors.txt`` (``r g b name``),
    and a JSON list (of names, or of ``{"value": 0, "name": "sky", "color": [0, 0, 255]}``) or
    mapping.

    Raises:
        LabelError: The file cannot be read.
    """
    file = folder.named(*FILES)
    if file is None:
        return None
    path = folder.path(file)
    try:
        text = read_text(path)
        rows = _from_json(text) if file.suffix == ".json" else _from_text(text, file)
        if not all(0 <= number < _LARGEST for number, _, _ in rows):
            raise ValueError("a number of a class below 0 or too large")
    except (OSError, TypeError, ValueError, RecursionError, csv.Error) as error:
        raise LabelError(f"{path}: unreadable ({error}), expected names of classes") from error
    names, colours = {}, {}
    for number, name, colour in rows[:_MOST]:
        names[number] = name
        if colour is not None:
            colours[number] = colour
    return ClassNames(names, colours, file.suffix == ".json" and '"value"' in text)


Row = tuple[int, str, Colour | None]


def _from_json(text: str) -> list[Row]:
    data = json.loads(text)
    if isinstance(data, dict):
        return [(int(key), str(value), None) for key, value in data.items()]
    if isinstance(data, list):
        return [_from_entry(number, entry) for number, entry in enumerate(data)]
    raise ValueError("neither a list nor a mapping")


def _from_entry(number: int, entry: object) -> Row:
    if not isinstance(entry, dict):
        return number, str(entry), None
    colour = _colour(entry["color"]) if entry.get("color") else None
    return int(entry.get("value", number)), str(entry.get("name")), colour


def _from_text(text: str, file: PurePosixPath) -> list[Row]:
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if file.suffix == ".csv":
        cells = [[cell.strip() for cell in row] for row in csv.reader(lines)]
        rows = [row for row in cells if len(row) >= 4 and row[1].isdigit()]
        return [(i, row[0], _colour(row[1:4])) for i, row in enumerate(rows)]
    found: list[Row] = []
    for line in lines:
        colours = re.fullmatch(r"(.+?):(\d+),(\d+),(\d+):.*", line)
        first = re.fullmatch(r"(\d+)\s+(\d+)\s+(\d+)\s+(.+)", line)
        numbered = re.fullmatch(r"(\d+)\s*[:\t=,]\s*(.+)", line)
        if colours:
            found.append((len(found), colours[1], _colour(colours.groups()[1:])))
        elif first and file.name.lower() == "label_colors.txt":
            found.append((len(found), first[4], _colour(first.groups()[:3])))
        elif numbered:
            found.append((int(numbered[1]), numbered[2], None))
        else:
            found.append((len(found), line, None))
    return found


def _colour(values: object) -> Colour:
    red, green, blue = (int(value) for value in values)  # type: ignore[attr-defined]
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise ValueError(f"the colour {red}, {green}, {blue}")
    return red, green, blue
