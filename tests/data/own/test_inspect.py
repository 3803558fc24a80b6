"""What inspect says of folders, and that it survives what lies in them."""

import json
from pathlib import Path

import pytest

from fdam_mm.cli.data_inspect import main
from fdam_mm.data.own import inspect, open_labelled
from fdam_mm.errors import LayoutError, MissingFileError

from .made_up import HEIGHT, WIDTH, coco, masks, picture


def test_coco(tmp_path: Path) -> None:
    coco(tmp_path, "train", 3)
    coco(tmp_path, "val", 1)
    found = inspect(tmp_path)
    assert (found.format, found.task, found.convert_to) == ("coco", "instance", None)
    assert found.splits == {"train": 3, "val": 1}
    assert not found.problems
    fig, nut = found.classes
    assert (fig.name, fig.objects, fig.pictures, fig.pixels) == ("fig", 4, 4, 4 * 22 * 12)
    assert (nut.name, nut.objects) == ("nut", 8)
    assert {part.split for part in found.parts} == {"train", "val"}
    assert all(p.size == (HEIGHT, WIDTH) and p.objects == 3 for p in found.pictures)
    assert json.loads(json.dumps(found.to_json()))["classes"][1]["value"] == 7


def test_masks(tmp_path: Path) -> None:
    masks(tmp_path)
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n")
    found = inspect(tmp_path)
    assert (found.format, found.task) == ("masks", "semantic")
    assert [c.name for c in found.classes] == ["sky", "road", "car"]
    assert found.unlabelled_pixels == 2 * 16
    assert sum(c.pixels for c in found.classes) == 2 * (HEIGHT * WIDTH - 16)
    assert not found.problems and found.parts and not found.labelled.zero_unlabelled


def test_pictures_alone(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    found = inspect(tmp_path)
    assert (found.task, found.convert_to, len(found.pictures)) == ("unlabelled", None, 1)


def test_everything_wrong_is_named(tmp_path: Path) -> None:
    masks(tmp_path, count=3)
    picture(tmp_path / "images/train/alone.jpg")
    picture(tmp_path / "images/train/1.jpg", (20, 20))
    (tmp_path / "images/train/2.jpg").write_bytes(b"\xff\xd8\xff no picture")
    text = "\n".join(map(str, inspect(tmp_path).problems))
    assert "alone.jpg: a picture without labels" in text
    assert "1.png: labels of a picture 48 high and 64 wide, expected 20 high and 20 wide" in text
    assert "2.jpg: unreadable" in text


def test_unknown_layouts_say_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such folder"):
        inspect(tmp_path / "nowhere")
    picture(tmp_path / "a.jpg")
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(LayoutError, match=r"a\.csv.*Looked for.*shapes.*labelTxt"):
        inspect(tmp_path)


def test_several_formats(tmp_path: Path) -> None:
    coco(tmp_path)
    (tmp_path / "a.json").write_text(
        json.dumps(dict(shapes=[], imagePath="images/train/train_0.jpg"))
    )
    with pytest.raises(LayoutError, match="coco and labelme: choose one with --format"):
        open_labelled(tmp_path)
    assert open_labelled(tmp_path, "coco").format == "coco"


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    coco(tmp_path)
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "instance segmentation" in out and "fdam new NAME --data" in out
    assert main([str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "instance"
