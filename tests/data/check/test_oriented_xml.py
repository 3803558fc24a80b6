"""Checking HRSC and DIOR: what the check names, mmrotate's reader stops at, and nothing else."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image
from support.tools import run_tool

from fdam_mm.data.check.sets import data_sets
from fdam_mm.errors import ConfigError
from fdam_mm.toolkits.registration import register_toolkit

HRSC = """<HRSC_Image><Img_SizeWidth>64</Img_SizeWidth><HRSC_Objects><HRSC_Object>
<Class_ID>100000001</Class_ID><mbox_cx>30.5</mbox_cx><mbox_cy>20</mbox_cy><mbox_w>20</mbox_w>
<mbox_h>8</mbox_h><mbox_ang>0.5</mbox_ang><header_x>40</header_x><header_y>22</header_y>
</HRSC_Object></HRSC_Objects></HRSC_Image>"""
CORNERS = dict(left_top=(10, 10), right_top=(30, 10), right_bottom=(30, 20), left_bottom=(10, 20))
QUAD = "".join(f"<x_{c}>{x}</x_{c}><y_{c}>{y}</y_{c}>" for c, (x, y) in CORNERS.items())
DIOR = f"""<annotation><size><width>64</width><height>48</height></size><object>
<name>Airplane</name><robndbox>{QUAD}</robndbox></object></annotation>"""
UPRIGHT = DIOR.replace(
    f"<robndbox>{QUAD}</robndbox>",
    "<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>",
)


def write(file: Path, text: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def settings(root: Path, kind: str, text: str, **options: object) -> dict:
    """Write a set of one picture; returns a config's dataset."""
    is_hrsc = kind == "HRSCDataset"
    images, suffix = ("All/AllImages", "bmp") if is_hrsc else ("JPEGImages", "jpg")
    labels = "All/Annotations" if is_hrsc else "Annotations/Oriented Bounding Boxes"
    picture = write(root / f"{images}/a.{suffix}")
    Image.new("RGB", (64, 48)).save(picture)
    write(root / f"{labels}/a.xml", text)
    write(root / "train.txt", "a\n")
    prefix = dict(sub_data_root="All/") if is_hrsc else dict(img_path=images)
    dataset = dict(type=kind, data_root=f"{root}/", ann_file="train.txt", data_prefix=prefix)
    return dict(dataset, pipeline=[], **options)


def problems(dataset: dict) -> list[str]:
    config = Config(dict(default_scope="mmrotate", train_dataloader=dict(dataset=dataset)))
    (data,) = data_sets(config)
    return [str(problem) for problem in data.check().problems]


def loads(dataset: dict) -> bool:
    """Whether mmrotate reads it."""
    init_default_scope("mmrotate")
    register_toolkit("mmrotate")
    try:
        return len(DATASETS.build(dataset)) == 1
    except (AttributeError, KeyError, OSError, TypeError, ValueError, SyntaxError):
        return False


GOOD = [
    ("HRSCDataset", HRSC, {}),
    ("HRSCDataset", HRSC, dict(classwise=True)),
    ("HRSCDataset", HRSC.replace("100000001", "7"), {}),  # a class that is not read
    ("DIORDataset", DIOR, {}),
    ("DIORDataset", UPRIGHT, dict(ann_type="hbb")),
    ("DIORDataset", DIOR.replace("<size><width>64</width><height>48</height></size>", ""), {}),
    ("DIORDataset", "<annotation/>", {}),
]


@pytest.mark.parametrize(("kind", "text", "options"), GOOD)
def test_good_data(tmp_path: Path, kind: str, text: str, options: dict) -> None:
    dataset = settings(tmp_path, kind, text, **options)
    assert problems(dataset) == [] and loads(dataset)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("HRSCDataset", HRSC.replace("20</mbox_w>", "wide</mbox_w>"), "object 1: mbox_w 'wide'"),
        ("HRSCDataset", HRSC.replace("<mbox_w>20</mbox_w>", ""), "object 1: no mbox_w, expected"),
        ("HRSCDataset", HRSC.replace("40</header_x>", "4.5</header_x>"), "header_x '4.5', expec"),
        ("HRSCDataset", HRSC.replace("64</Img", "</Img"), "picture: Img_SizeWidth '', expected"),
        ("HRSCDataset", HRSC[:-5], "a.xml: unreadable"),
        ("DIORDataset", DIOR.replace("Airplane", "Balloon"), "object 1: class 'Balloon', expect"),
        ("DIORDataset", UPRIGHT, "object 1: no robndbox, expected the numbers x_left_top"),
        ("DIORDataset", DIOR.replace("10</x_left_top>", "</x_left_top>"), "x_left_top '',"),
        ("DIORDataset", DIOR.replace("64</width>", "64.5</width>"), "picture: size/width '64.5'"),
    ],
)
def test_what_stops_the_reader(tmp_path: Path, kind: str, text: str, message: str) -> None:
    dataset = settings(tmp_path, kind, text)
    (found,) = problems(dataset)
    assert "a.xml: " in found and message in found
    assert not loads(dataset)


def test_classes_of_hrsc(tmp_path: Path) -> None:
    text = HRSC.replace("100000001", "7")
    dataset = settings(tmp_path, "HRSCDataset", text, classwise=True)
    assert "object 1: class '7', expected one of 10000000" in problems(dataset)[0]
    assert not loads(dataset)


@pytest.mark.parametrize(
    ("kind", "text", "options", "message"),
    [
        ("DIORDataset", DIOR, dict(ann_type="hbb"), "no bndbox, .*or it is dropped"),
        ("DIORDataset", DIOR.replace(">20</y", ">10</y"), {}, "a box without area"),
        ("HRSCDataset", HRSC.replace("8</mbox_h>", "-8</mbox_h>"), {}, "a box without area"),
        ("HRSCDataset", HRSC.replace("8</mbox_h>", "nan</mbox_h>"), {}, "mbox_h 'nan'"),
    ],
)
def test_what_it_takes_without_a_word(
    tmp_path: Path, kind: str, text: str, options: dict, message: str
) -> None:
    dataset = settings(tmp_path, kind, text, **options)
    (found,) = problems(dataset)
    assert re.search(message, found) and loads(dataset)


def test_files(tmp_path: Path) -> None:
    dataset = settings(tmp_path, "DIORDataset", DIOR)
    write(tmp_path / "train.txt", "a\n\nb\n")
    assert problems(dataset) == [
        f"{tmp_path}/train.txt:2: an empty line, expected the name of a picture"
    ]
    write(tmp_path / "train.txt", "a\nb\n" + "c" * 300)
    found = problems(dataset)
    assert len(found) == 4 and all("no such file, expected one" in line for line in found)
    write(tmp_path / "train.txt", "")
    assert "train.txt: no names, expected" in problems(dataset)[0]
    write(tmp_path / "train.txt", "a")
    write(tmp_path / "JPEGImages/a.jpg", "broken")
    assert "a.jpg: " in problems(dataset)[0]
    (tmp_path / "train.txt").unlink()
    assert "train.txt: no such file" in problems(dataset)[0]
    with pytest.raises(ConfigError, match="expected a folder in img_path"):
        problems(dict(dataset, data_prefix=dict()))
    with pytest.raises(ConfigError, match="expected a list of picture names"):
        problems(dict(dataset, ann_file=""))


def test_tool(tmp_path: Path) -> None:
    dataset = settings(tmp_path, "HRSCDataset", HRSC)
    config = Config(dict(default_scope="mmrotate", train_dataloader=dict(dataset=dataset)))
    config.dump(tmp_path / "config.py")
    done = run_tool("check_data.py", "config.py", cwd=tmp_path)
    assert done.returncode == 0 and "1 pictures checked, no problem" in done.stdout, done.stderr
