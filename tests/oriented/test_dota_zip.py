"""The zip file for DOTA's test server."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from mmrotate.datasets import DOTADataset

from fdam_mm.oriented.boxes import OrientedBoxes
from fdam_mm.oriented.dota_zip import read_submission, write_submission

CLASSES = DOTADataset.METAINFO["classes"]


def ships(number: int) -> OrientedBoxes:
    """Boxes of 10 x 4 around (20, 30)."""
    boxes = np.tile(np.array([20.0, 30, 10, 4, 0]), (number, 1))
    scores = np.linspace(0.9, 0.5, number)
    return OrientedBoxes(boxes, scores, np.full(number, CLASSES.index("ship")))


def test_a_file_for_each_of_15_classes(tmp_path: Path) -> None:
    file = tmp_path / "submission.zip"
    write_submission(file, {"P0001": ships(2), "P0002": ships(0)}, CLASSES)
    with zipfile.ZipFile(file) as archive:
        assert sorted(archive.namelist()) == sorted(f"Task1_{name}.txt" for name in CLASSES)
        assert len(archive.namelist()) == 15
        lines = archive.read("Task1_ship.txt").decode().splitlines()
    picture, score, *corners = lines[0].split(" ")
    assert (picture, float(score), len(lines)) == ("P0001", 0.9, 2)
    points = {(float(x), float(y)) for x, y in zip(corners[::2], corners[1::2], strict=True)}
    assert points == {(15, 28), (25, 28), (25, 32), (15, 32)}
    counts = read_submission(file)
    assert counts.pop("ship") == {"P0001": 2}
    assert len(counts) == 14 and not any(counts.values())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "submission.zip"
    file.write_text("keep")
    with pytest.raises(FileExistsError, match="left as it is"):
        write_submission(file, {"P0001": ships(1)}, CLASSES)
    assert file.read_text() == "keep"


def test_spaces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'my picture' has a space"):
        write_submission(tmp_path / "a.zip", {"my picture": ships(1)}, CLASSES)
