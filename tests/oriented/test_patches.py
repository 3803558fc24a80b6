import zipfile
from pathlib import Path

import numpy as np
import pytest
from mmrotate.evaluation import DOTAMetric

from fdam_mm.errors import ResultsError
from fdam_mm.oriented.boxes import OrientedBoxes
from fdam_mm.oriented.dota_zip import read_submission, write_submission
from fdam_mm.oriented.patches import merge_patches, missing_patches, parse_patch_name

CLASSES = ("plane", "ship", "storage-tank")


def boxes(*rows: tuple[float, ...]) -> OrientedBoxes:
    """Rows of x, y, width, height, angle, score, label."""
    table = np.array(rows).reshape(-1, 7)
    return OrientedBoxes(table[:, :5], table[:, 5], table[:, 6].astype(int))


def drawn_patches(seed: int = 0) -> dict[str, OrientedBoxes]:
    """Noisy views of the same objects in overlapping patches of two pictures."""
    rng = np.random.default_rng(seed)
    patches = {}
    for picture, left0 in (("P0001", 0), ("P0002", 12000)):
        objects = rng.uniform([0, 0, 8, 8, -1.5], [1848, 1024, 60, 60, 1.5], size=(300, 5))
        labels = rng.integers(3, size=300)
        for left in (0, 824):
            seen = (objects[:, 0] > left) & (objects[:, 0] < left + 1024)
            found = objects[seen] + rng.normal(scale=[1, 1, 1, 1, 0.02], size=(seen.sum(), 5))
            found[:, 0] -= left
            scores = rng.permutation(seen.sum()) / 1000 + left / 1e7  # no ties
            patches[f"{picture}__1024__{left0 + left}___0"] = OrientedBoxes(
                found.astype(np.float32), scores.astype(np.float32), labels[seen]
            )
    return patches


def test_names() -> None:
    assert parse_patch_name("P0006__1024__0___824") == ("P0006", (1024, 0, 824))
    assert parse_patch_name("a__b_1__682__12___3") == ("a__b_1", (682, 12, 3))
    for name in ("P0006", "P0006__1024__0__824", "P0006__0.5__0___824", "P0006__1024__-1___0"):
        with pytest.raises(ResultsError, match="expected PICTURE__SIZE__LEFT___TOP"):
            parse_patch_name(name)


def test_merging_by_hand() -> None:
    patches = {
        "P__1024__0___0": boxes((900, 50, 20, 10, 0, 0.8, 0), (100, 100, 20, 10, 0, 0.3, 0)),
        "P__1024__824___0": boxes((76, 51, 20, 10, 0, 0.9, 0), (76, 50, 20, 10, 0, 0.7, 1)),
        "Q__1024__0___0": boxes((900, 50, 20, 10, 0, 0.5, 0)),
        "R__1024__0___0": boxes(),
    }
    merged = merge_patches(patches)
    assert list(merged) == ["P", "Q", "R"]
    np.testing.assert_allclose(
        merged["P"].boxes[:, :2], [[900, 51], [900, 50], [100, 100]]
    )  # the ship at the same place stays
    assert merged["P"].scores.tolist() == [0.9, 0.7, 0.3]
    assert merged["P"].labels.tolist() == [0, 1, 0]
    assert len(merged["Q"]) == 1 and len(merged["R"]) == 0


def test_missing_patches() -> None:
    names = [f"P__1024__{x}___{y}" for x in (0, 824) for y in (0, 824, 900)]
    names += ["P__682__0___0", "Q__1024__0___0"]
    assert missing_patches(names) == []
    names.remove("P__1024__824___900")
    assert missing_patches(names) == ["P__1024__824___900"]


def lines_of(file: Path) -> dict[str, list[tuple[str, list]]]:
    with zipfile.ZipFile(file) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    split = {name: [line.split() for line in text.splitlines()] for name, text in texts.items()}
    return {
        name: sorted((line[0], sorted_corners(line[2:])) for line in lines)
        for name, lines in split.items()
    }


def sorted_corners(numbers: list[str]) -> list[list[float]]:
    """Corners from top to bottom: mmrotate goes round the other way."""
    return sorted(np.array(numbers, float).reshape(4, 2).tolist(), key=lambda c: (c[1], c[0]))


def test_the_zip_has_what_mmrotate_writes(tmp_path: Path) -> None:
    patches = drawn_patches()
    write_submission(tmp_path / "ours.zip", merge_patches(patches), CLASSES)
    metric = DOTAMetric(format_only=True, merge_patches=True, outfile_prefix=str(tmp_path / "it"))
    metric.dataset_meta = dict(classes=CLASSES)
    results = [
        dict(img_id=name, bboxes=found.boxes, scores=found.scores, labels=found.labels)
        for name, found in patches.items()
    ]
    ours = lines_of(tmp_path / "ours.zip")
    theirs = lines_of(Path(metric.merge_results(results, str(tmp_path / "it"))))
    assert ours.keys() == theirs.keys() == {f"Task1_{name}.txt" for name in CLASSES}
    for name, lines in theirs.items():
        assert len(lines) > 50
        assert [picture for picture, _ in ours[name]] == [picture for picture, _ in lines]
        np.testing.assert_allclose(
            [corners for _, corners in ours[name]], [c for _, c in lines], atol=0.021
        )


def test_submission_by_hand_is_read_back(tmp_path: Path) -> None:
    pictures = {
        "P0006": boxes((10, 20, 6, 2, 0, 0.75, 1), (50, 50, 4, 4, 0, 0.5, 1)),
        "P0007": boxes(),
    }
    write_submission(tmp_path / "new" / "out.zip", pictures, CLASSES)
    with zipfile.ZipFile(tmp_path / "new" / "out.zip") as archive:
        text = archive.read("Task1_ship.txt").decode()
        assert archive.read("Task1_plane.txt") == b""
    first = "P0006 0.75000 7.00 19.00 13.00 19.00 13.00 21.00 7.00 21.00"
    assert text.splitlines()[0] == first and text.endswith("\n")
    counts = read_submission(tmp_path / "new" / "out.zip")
    assert counts == {"plane": {}, "ship": {"P0006": 2}, "storage-tank": {}}


def test_a_submission_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out.zip").write_text("mine")
    with pytest.raises(FileExistsError, match="left as it is"):
        write_submission(tmp_path / "out.zip", {}, CLASSES)
    assert (tmp_path / "out.zip").read_text() == "mine"
    with pytest.raises(ValueError, match="has a space"):
        write_submission(tmp_path / "new.zip", {"a b": boxes()}, CLASSES)
    assert not (tmp_path / "new.zip").exists()


def test_broken_submissions_are_noticed(tmp_path: Path) -> None:
    for name, text in (("Task1_ship.txt", "P 0.5 1 2 3\n"), ("ship.txt", "")):
        with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
            archive.writestr(name, text)
        with pytest.raises(ValueError, match="ship.txt"):
            read_submission(tmp_path / "bad.zip")
