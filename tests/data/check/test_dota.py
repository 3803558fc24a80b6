"""Checking DOTA patches."""

from pathlib import Path

import pytest
from mmengine.config import Config
from PIL import Image
from support.tools import run_tool

from fdam_mm.data.check.dota import DotaSet
from fdam_mm.data.check.sets import data_sets
from fdam_mm.errors import ConfigError

PLANE = "10.0 10.0 30.0 10.0 30.0 30.0 10.0 30.0 plane 0\n"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name, text in (("a", PLANE), ("b", "")):
        Image.new("RGB", (64, 48)).save(tmp_path / f"images/{name}.png")
        write(tmp_path / f"annfiles/{name}.txt", text)
    return tmp_path


def dota(root: Path) -> DotaSet:
    return DotaSet(root / "images", root / "annfiles", ".png", ("plane", "ship"))


def problems(data: DotaSet, root: Path) -> list[str]:
    return [str(problem).replace(f"{root}/", "") for problem in data.check().problems]


def test_good_data(root: Path) -> None:
    report = dota(root).check()
    assert report.problems == []
    assert report.num_pictures == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 2 3 plane 0", "5 items, expected x1 y1 x2 y2 x3 y3 x4 y4 category difficult"),
        (PLANE.replace("30.0 30.0", "30.0 x"), "to float: 'x', expected 8 numbers"),
        ("gsd:0.3", "a header or empty line 'gsd:0.3', at which mmrotate stops, expected x1"),
        ("", "a header or empty line ''"),
        ("height: 3", "a header or empty line 'height: 3'"),
        (PLANE.replace("plane 0", "plane x"), "difficulty 'x', expected 0 or 1"),
        (PLANE.replace("plane 0", "plane 101"), "difficulty 101, for which mmrotate ignores"),
        (PLANE.replace("plane 0", "plane " + "9" * 5000), "difficulty '99"),
        (PLANE.replace("30.0 30.0", "30.0 1e308"), "expected pixels near the picture"),
        (PLANE.replace("30.0 30.0", "30.0 nan"), "expected finite numbers"),
        (PLANE[:-3], "no difficulty, expected x1"),
        (PLANE.replace("plane", "car"), "category 'car', expected one of plane, ship"),
        (PLANE.replace("10.0 30.0 pl", "10.0 10.0 pl").replace("30.0 30.0", "30.0 10.0"), "line"),
        (
            "54.0 0.0 74.0 0.0 74.0 9.0 54.0 9.0 ship 0\n"  # half of it is on the picture
            "55.0 0.0 75.0 0.0 75.0 9.0 55.0 9.0 ship 0",
            r"a.txt:3: a box with 45% of its area on the picture of 64 x 48, expected at least",
        ),
    ],
)
def test_wrong_line(root: Path, line: str, message: str) -> None:
    write(root / "annfiles/a.txt", f"{PLANE}{line.rstrip()}\n")
    (found,) = problems(dota(root), root)
    assert message in found
    assert found.startswith("annfiles/a.txt:")


def test_all_lines_are_named(root: Path) -> None:
    write(root / "annfiles/a.txt", f"1\n{PLANE}2\n")
    assert [line.split(": ")[0] for line in problems(dota(root), root)] == [
        "annfiles/a.txt:1",
        "annfiles/a.txt:3",
    ]


def test_hidden_files_are_passed_over(root: Path) -> None:
    """As glob does, with which mmrotate finds the files."""
    write(root / "annfiles/._a.txt", "x")
    write(root / "images/._a.png", "x")
    assert problems(dota(root), root) == []


def test_files(root: Path) -> None:
    (root / "annfiles/a.txt").unlink()
    write(root / "annfiles/c.txt", PLANE)
    write(root / "images/b.png", "broken")
    (root / "annfiles/b.txt").write_bytes(b"\xff")
    found = problems(dota(root), root)
    assert found[0] == "images/a.png: picture without labels, expected annfiles/a.txt"
    assert found[1].startswith("annfiles/c.txt: labels without picture, expected images/c.png")
    assert found[2].startswith("images/b.png: unreadable (")
    assert found[3].startswith("annfiles/b.txt: unreadable (")
    assert len(found) == 4


def test_folders(root: Path) -> None:
    data = DotaSet(root / "images", root / "none", ".jpg", ("plane",))
    found = problems(data, root)
    assert found[0] == "images: no *.jpg file, expected a folder with *.jpg files"
    assert "none: no such folder" in found[1] and "prepare_data.py dota" in found[1]


def test_without_labels(root: Path) -> None:
    report = DotaSet(root / "images", None, ".png", ("plane",)).check()
    assert (report.num_pictures, report.problems) == (2, [])


def config(root: Path, **options: object) -> Config:
    dataset = dict(
        type="DOTADataset",
        data_root=str(root),
        ann_file="annfiles/",
        data_prefix=dict(img_path="images/"),
        pipeline=[dict(type="mmdet.LoadImageFromFile")],
    )
    loader = dict(dataset={**dataset, **options})
    return Config(dict(default_scope="mmrotate", train_dataloader=loader, val_dataloader=loader))


def test_sets_of_a_config(root: Path) -> None:
    ((data, splits),) = data_sets(config(root)).items()
    assert splits == ["train", "val"]
    assert data.img_dir == root / "images" and data.ann_dir == root / "annfiles"
    assert data.suffix == ".png" and data.classes[0] == "plane" and len(data.classes) == 15
    assert data.check().problems == []
    (data,) = data_sets(config(root, type="DOTAv2Dataset", ann_file=""))
    assert data.ann_dir is None and len(data.classes) == 18
    with pytest.raises(ConfigError, match="expected a folder in img_path"):
        data_sets(config(root, data_prefix=dict()))


def test_tool(root: Path, tmp_path: Path) -> None:
    write(root / "annfiles/b.txt", "nothing\n")
    config(root).dump(tmp_path / "config.py")
    done = run_tool("check_data.py", "config.py", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "annfiles/b.txt:1: 1 items, expected x1" in done.stdout
    assert "2 pictures checked, 1 problem" in done.stdout
