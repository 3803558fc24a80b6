"""Conversions lose nothing: what is written reads as what was there, or is refused, or said."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from fdam_mm.cli.data_convert import main
from fdam_mm.data.formats.rle import decode_rle
from fdam_mm.data.own import LabelledSet, convert, converting, inspect, open_labelled
from fdam_mm.errors import PreparationError, UsageError

from .made_up import HEIGHT, WIDTH, coco, label_map, masks, picture


def rows(labelled: LabelledSet) -> list[tuple]:
    """All that is known of every object, but its attributes."""
    found = []
    for p in labelled.pictures:
        for o in labelled.read(p).objects:
            rle = None if o.rle is None else decode_rle(o.rle, HEIGHT, WIDTH).tobytes()
            shapes = [polygon.round(9).tolist() for polygon in o.polygons]
            corners = None if o.corners is None else o.corners.round(3).tolist()
            name = labelled.classes[o.label].name
            box = tuple(np.round(o.box, 9).tolist())
            found.append((p.split or "", p.name, name, box, str(shapes), rle, str(corners)))
    return sorted(found, key=str)


def without_crowds(root: Path) -> None:
    for file in root.rglob("*.json"):
        data = json.loads(file.read_text())
        data["annotations"] = [a for a in data["annotations"] if not a["iscrowd"]]
        file.write_text(json.dumps(data))


@pytest.mark.parametrize("to", ["coco", "yolo", "labelme"])
def test_objects_round_trip(to: str, tmp_path: Path) -> None:
    coco(tmp_path / "a", "train", 2)
    coco(tmp_path / "a", "val", 1)
    if to != "coco":
        without_crowds(tmp_path / "a")
    source = open_labelled(tmp_path / "a")
    done = convert(tmp_path / "a", tmp_path / "b", to)
    assert not done.notes and not done.copied
    assert rows(done.after.labelled) == rows(source)
    convert(tmp_path / "b", tmp_path / "c", "coco")
    assert rows(open_labelled(tmp_path / "c")) == rows(source)
    assert not inspect(tmp_path / "c").problems
    image = next((tmp_path / "b").rglob("train_0.jpg"))
    assert image.is_symlink() and os.path.samefile(image, tmp_path / "a/images/train/train_0.jpg")


@pytest.mark.parametrize("to", ["dota", "coco", "yolo", "labelme"])
def test_rotated_boxes_round_trip(to: str, tmp_path: Path) -> None:
    picture(tmp_path / "a/train/images/x.png")
    (tmp_path / "a/train/labelTxt").mkdir()
    text = "10.125 5 30 15 25 25 5 15 ship 0\n8 8 30 8 30 20 8 20 small-vehicle 1\n"
    (tmp_path / "a/train/labelTxt/x.txt").write_text(f"gsd:1\n{text}")
    done = convert(tmp_path / "a", tmp_path / "b", to)
    assert [c.objects for c in done.after.classes if c.objects] == [1, 1]
    if to == "dota":
        assert (tmp_path / "b/train/labelTxt/x.txt").read_text() == text.replace(
            " 5 30 15 25 25 5 15 ", " 5.0 30.0 15.0 25.0 25.0 5.0 15.0 "
        ).replace("8 8 30 8 30 20 8 20", "8.0 8.0 30.0 8.0 30.0 20.0 8.0 20.0")
        assert done.after.parts  # the header is gone: mmrotate reads it
    if to in ("dota", "yolo"):
        assert rows(done.after.labelled) == rows(done.before.labelled)
    else:
        assert done.notes == {"rotated boxes as polygons of their corners": 2}
    convert(tmp_path / "b", tmp_path / "c", "dota")
    assert [r[-1] for r in rows(open_labelled(tmp_path / "c"))] == [
        r[-1] for r in rows(done.before.labelled)
    ]


def test_label_maps_are_renumbered(tmp_path: Path) -> None:
    picture(tmp_path / "a/images/x.jpg")
    (tmp_path / "a/masks").mkdir()
    cv2.imwrite(str(tmp_path / "a/masks/x.png"), label_map(values=(7, 40, 200)))
    (tmp_path / "a/classes.txt").write_text("7: sky\n40: road, wet\n200: car\n")
    done = convert(tmp_path / "a", tmp_path / "b", "masks")
    assert not done.before.parts and done.after.parts
    written = cv2.imread(str(tmp_path / "b/annotations/x.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(written, label_map())
    assert [c.name for c in done.after.classes] == ["sky", "road, wet", "car"]


def test_two_classes_without_the_second(tmp_path: Path) -> None:
    """0 and 255 alone would be black and white: the list of classes says that it is not."""
    picture(tmp_path / "a/images/x.jpg")
    (tmp_path / "a/masks").mkdir()
    cv2.imwrite(str(tmp_path / "a/masks/x.png"), label_map(values=(5,)))
    (tmp_path / "a/classes.txt").write_text("5: fig\n6: nut\n")
    done = convert(tmp_path / "a", tmp_path / "b", "masks")
    assert [(c.name, c.pixels) for c in done.after.classes] == [
        ("fig", HEIGHT * WIDTH - 16), ("nut", 0),
    ]  # fmt: skip


def test_objects_as_label_maps(tmp_path: Path) -> None:
    coco(tmp_path / "a", count=1)
    done = convert(tmp_path / "a", tmp_path / "b", "masks")
    assert [c.name for c in done.after.classes] == ["background", "fig", "nut"]
    labels = cv2.imread(str(tmp_path / "b/annotations/train/train_0.png"), cv2.IMREAD_UNCHANGED)
    assert (labels[:, :2] == 255).all()  # the crowd
    assert (labels == 1).sum() == 22 * 12 and labels[30, 45] == 2
    assert done.notes["objects as regions of their class"] == 3


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    coco(tmp_path / "a")
    masks(tmp_path / "m")
    for source, to, said in (
        ("a", "dota", "an object with a mask, which dota cannot hold"),
        ("a", "yolo", "a crowd, which yolo cannot hold"),
        ("m", "coco", "coco cannot hold label maps, expected objects with masks"),
    ):
        with pytest.raises(PreparationError, match=said):
            convert(tmp_path / source, tmp_path / f"{source}_{to}", to)


def test_attributes_are_kept_or_said(tmp_path: Path) -> None:
    file = coco(tmp_path / "a", count=1)
    without_crowds(tmp_path / "a")
    data = json.loads(file.read_text())
    data["annotations"][0] |= dict(ripe="yes", score=0.5)
    data["images"][0] |= dict(license=4, date_captured="2013-11-14")
    data["categories"][0] |= dict(supercategory="fruit")
    data |= dict(licenses=[dict(id=4, name="CC BY 2.0")], info={})
    file.write_text(json.dumps(data))
    done = convert(tmp_path / "a", tmp_path / "b", "coco")
    again = json.loads((tmp_path / "b/annotations/instances_train.json").read_text())
    assert again["annotations"][0]["ripe"] == "yes" and not done.notes
    assert again["images"][0]["license"] == 4 and again["images"][0]["date_captured"]
    assert again["categories"][0]["supercategory"] == "fruit"
    assert "supercategory" not in again["categories"][1]
    assert again["licenses"] == data["licenses"]
    done = convert(tmp_path / "a", tmp_path / "c", "yolo")
    assert done.notes == {
        "objects whose 'ripe' is left out": 1, "objects whose 'score' is left out": 1,
        "pictures whose 'license' is left out": 1, "pictures whose 'date_captured' is left out": 1,
        "classes whose 'supercategory' is left out": 1, "'licenses' of the set, left out": 1,
    }  # fmt: skip


def test_an_interrupted_conversion_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks(tmp_path / "a", count=4)
    link, count = converting.link, 0

    def stop(*arguments: Path) -> bool:
        nonlocal count
        count += 1
        if count > 2:
            raise KeyboardInterrupt
        return link(*arguments)

    monkeypatch.setattr(converting, "link", stop)
    with pytest.raises(KeyboardInterrupt):
        convert(tmp_path / "a", tmp_path / "b", "masks")
    first = tmp_path / "b/annotations/train/0.png"
    written = first.stat().st_mtime_ns
    monkeypatch.setattr(converting, "link", link)
    done = convert(tmp_path / "a", tmp_path / "b", "masks")
    assert len(done.after.pictures) == 4 and first.stat().st_mtime_ns == written
    masks(tmp_path / "c", count=1)
    with pytest.raises(UsageError, match="was made of"):
        convert(tmp_path / "c", tmp_path / "b", "masks")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    masks(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        convert(tmp_path / "a", tmp_path / "b", "masks")
    with pytest.raises(UsageError, match="is in"):
        convert(tmp_path / "a", tmp_path / "a/new", "masks")
    convert(tmp_path / "a", tmp_path / "c", "masks")
    (tmp_path / "c/annotations/train/0.png").unlink()
    cv2.imwrite(str(tmp_path / "c/annotations/train/0.png"), np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(PreparationError, match="pixels of class_0, expected"):
        convert(tmp_path / "a", tmp_path / "c", "masks")


def test_copies_where_links_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "symlink", refuse)
    masks(tmp_path / "a")
    done = convert(tmp_path / "a", tmp_path / "b", "masks")
    copy = tmp_path / "b/images/train/0.jpg"
    assert done.copied == 2 and not copy.is_symlink()
    assert copy.read_bytes() == (tmp_path / "a/images/train/0.jpg").read_bytes()


def test_broken_sets_are_not_converted(tmp_path: Path) -> None:
    masks(tmp_path / "a")
    (tmp_path / "a/images/train/1.jpg").write_bytes(b"no picture")
    with pytest.raises(PreparationError, match=r"1\.jpg.*mend it first|1\.jpg.*mend them first"):
        convert(tmp_path / "a", tmp_path / "b", "masks")


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    coco(tmp_path / "a")
    main([str(tmp_path / "a"), str(tmp_path / "b"), "--to", "masks"])
    out = capsys.readouterr().out
    assert "background" in out and "3 objects" not in out and "note: 6 objects as regions" in out
