"""See that the boxes of an oriented data set are some: mmrotate crashes on what is none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fdam_mm.errors import LabelError

from .datasets import ADVICE

MAX_COORDINATE = 1e6  # pixels; cv2 crashes far above
_LEAST = 1e-3  # square pixels


def require_boxes(dataset: Any) -> None:
    """Look at all boxes of one of mmrotate's DOTA data sets.

    Raises:
        LabelError: One is absurd or has no area, which ends in a crash or a loss of NaN; names the
            file and the line.
    """
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        boxes = [item["bbox"] for item in info["instances"] if len(item["bbox"]) == 8]
        corners = np.array(boxes, np.float64).reshape(-1, 4, 2)
        for number, found in _faults(corners):
            where = _line(Path(dataset.ann_file, f"{info['img_id']}.txt"), corners[number])
            raise LabelError(
                f"{where}: {found}, expected the four corners of a box around an object; remove "
                f"or mend the line; {ADVICE}"
            )


def _faults(corners: np.ndarray) -> Iterator[tuple[int, str]]:
    """Yield the index of each of (N, 4, 2) that is no box, and why."""
    wild = ~(np.abs(corners) <= MAX_COORDINATE).all(axis=(1, 2))  # NaN is wild
    moved = np.where(wild[:, None, None], 0, corners)
    edges = moved[:, 1:] - moved[:, :1]  # (N, 3, 2)
    spans = [_cross(edges[:, i], edges[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    flat = (np.abs(spans) <= _LEAST).all(axis=0)
    for index in np.flatnonzero(wild | flat).tolist():
        kind = "absurd coordinates" if wild[index] else "corners on one line"
        yield index, f"{kind} {' '.join(f'{value:g}' for value in corners[index].ravel())}"


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def _line(file: Path, corners: np.ndarray) -> str:
    """The file, and the number of the line that holds these corners."""
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), start=1):
        try:
            numbers = [float(item) for item in line.split()[:8]]
        except ValueError:
            continue
        if np.array_equal(numbers, corners.ravel(), equal_nan=True):
            return f"{file}:{number}"
    return str(file)
