"""The zip file that DOTA's test server takes: a text file of boxes for each class."""

import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from fdam_mm.files import write_atomically

from .boxes import OrientedBoxes

_DIGITS = 2  # of a coordinate, in pixels
_SCORE_DIGITS = 5


def class_lines(
    pictures: Mapping[str, OrientedBoxes], classes: Sequence[str]
) -> dict[str, list[str]]:
    """Return each class's lines: picture, score, four corners; a picture's best score first."""
    lines: dict[str, list[str]] = {name: [] for name in classes}
    for picture, found in pictures.items():
        for label, score, corners in zip(
            found.labels, found.scores, found.corners().reshape(-1, 8), strict=True
        ):
            numbers = " ".join(f"{value:.{_DIGITS}f}" for value in corners)
            lines[classes[label]].append(f"{picture} {score:.{_SCORE_DIGITS}f} {numbers}")
    return lines


def write_submission(
    file: Path, pictures: Mapping[str, OrientedBoxes], classes: Sequence[str]
) -> None:
    """Write `Task1_CLASS.txt` for every class into a zip file.

    Raises:
        FileExistsError: the file is there.
        ValueError: a picture's name has a space, which the lines could not hold.
    """
    if file.exists():
        raise FileExistsError(f"{file} exists and is left as it is; choose another name")
    spaced = [name for name in pictures if len(name.split()) != 1]
    if spaced:
        raise ValueError(f"picture {spaced[0]!r} has a space in its name, expected none")
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, lines in class_lines(pictures, classes).items():
            archive.writestr(f"Task1_{name}.txt", "".join(f"{line}\n" for line in lines))
    write_atomically(file, buffer.getvalue())


def read_submission(file: Path) -> dict[str, Counter[str]]:
    """Read a submission back: the number of boxes by class and picture.

    Raises:
        ValueError: something in it is not as the server wants it.
    """
    counts: dict[str, Counter[str]] = {}
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if not (name.startswith("Task1_") and name.endswith(".txt")):
                raise ValueError(f"{file} holds {name}, expected files Task1_CLASS.txt alone")
            found = counts[name[len("Task1_") : -len(".txt")]] = Counter()
            for number, line in enumerate(archive.read(name).decode().splitlines(), start=1):
                picture, *numbers = line.split(" ")
                if len(numbers) != 9 or not np.isfinite(np.array(numbers, float)).all():
                    raise ValueError(f"{file}, {name}, line {number}: {line!r}")
                found[picture] += 1
    return counts
