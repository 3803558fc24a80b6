"""Whatever lies in the files: a set is read, or one of our errors says what is wrong."""

import copy
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fdam_mm.data.own import convert, inspect
from fdam_mm.errors import FDAMError

from .made_up import HEIGHT, WIDTH, coco, masks, picture

EXAMPLES = int(os.environ.get("FDAM_FUZZ_EXAMPLES", "25"))
VALUES = [
    None, True, -1, 0, 1, 2**70, 1e300, float("nan"), "", "x", "../../x", [], {}, [[]], [[1, 2]],
    {"a": 1}, [0] * 9, "9" * 400, -0.5, [None], [["a"] * 8], [1e9] * 8,
]  # fmt: skip


def labelme(root: Path) -> Path:
    picture(root / "a.jpg")
    points = [[4, 4], [20, 4], [20, 20]]
    shapes = [
        dict(label="fig", shape_type=kind, points=points[: 2 if kind != "polygon" else 3], mask="",
             group_id=None, flags={}, description="")
        for kind in ("polygon", "rectangle", "circle")
    ]  # fmt: skip
    data = dict(shapes=shapes, imagePath="a.jpg", imageHeight=HEIGHT, imageWidth=WIDTH)
    (root / "a.json").write_text(json.dumps(data))
    return root / "a.json"


def panoptic(root: Path) -> Path:
    picture(root / "images/a.jpg")
    (root / "panoptic").mkdir()
    cv2.imwrite(str(root / "panoptic/a.png"), np.full((HEIGHT, WIDTH, 3), (0, 0, 1), np.uint8))
    info = dict(id=1, category_id=1, iscrowd=0, bbox=[0, 0, WIDTH, HEIGHT], area=HEIGHT * WIDTH)
    data = dict(
        images=[dict(id=1, file_name="a.jpg", height=HEIGHT, width=WIDTH)],
        annotations=[dict(image_id=1, file_name="a.png", segments_info=[info])],
        categories=[dict(id=1, name="fig", isthing=1)],
    )
    (root / "panoptic.json").write_text(json.dumps(data))
    return root / "panoptic.json"


def geojson(root: Path) -> Path:
    rasterio = pytest.importorskip("rasterio")
    place = rasterio.transform.from_origin(0, 0, 1, 1)
    profile = dict(driver="GTiff", height=HEIGHT, width=WIDTH, count=3, dtype="uint8")
    with rasterio.open(root / "a.tif", "w", crs="EPSG:32633", transform=place, **profile) as file:
        file.write(np.zeros((3, HEIGHT, WIDTH), np.uint8))
    ring = [[4, -4], [20, -4], [20, -20], [4, -4]]
    data = dict(
        type="FeatureCollection", crs=dict(type="name", properties=dict(name="EPSG:32633")),
        features=[
            dict(type="Feature", properties={"class": "fig"},
                 geometry=dict(type="Polygon", coordinates=[ring]))
        ],
    )  # fmt: skip
    (root / "a.geojson").write_text(json.dumps(data))
    return root / "a.geojson"


def cvat(root: Path) -> Path:
    picture(root / "a.jpg")
    (root / "a.xml").write_text(
        f'<annotations><image name="a.jpg" width="{WIDTH}" height="{HEIGHT}">'
        '<box label="fig" xtl="1" ytl="1" xbr="9" ybr="9" rotation="5"/>'
        '<polygon label="fig" points="1,1;9,1;9,9"/>'
        '<mask label="fig" rle="1,2,3" left="1" top="1" width="3" height="2"/>'
        "</image></annotations>"
    )
    return root / "a.xml"


def voc(root: Path) -> Path:
    picture(root / "images/a.jpg")
    (root / "annotations").mkdir()
    (root / "annotations/a.xml").write_text(
        "<annotation><filename>a.jpg</filename><object><name>fig</name><difficult>0</difficult>"
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
        "<polygon><x1>1</x1><y1>1</y1><x2>9</x2><y2>1</y2><x3>9</x3><y3>9</y3></polygon>"
        "</object></annotation>"
    )
    return root / "annotations/a.xml"


def yolo(root: Path) -> Path:
    picture(root / "images/a.jpg")
    (root / "labels").mkdir()
    (root / "data.yaml").write_text("names: [fig, nut]\nnc: 2\n")
    (root / "labels/a.txt").write_text("0 .5 .5 .2 .2\n1 .1 .1 .5 .1 .5 .5\n")
    return root / "labels/a.txt"


def yolo_names(root: Path) -> Path:
    yolo(root)
    return root / "data.yaml"


def dota(root: Path) -> Path:
    picture(root / "images/a.png")
    (root / "labelTxt").mkdir()
    (root / "labelTxt/a.txt").write_text("gsd:1\n1 1 9 1 9 9 1 9 ship 0\n1 1 9 1 9 9 1 9 harbor\n")
    return root / "labelTxt/a.txt"


def label_map(root: Path) -> Path:
    masks(root, count=1)
    return root / "annotations/train/0.png"


def class_list(root: Path) -> Path:
    masks(root, count=1)
    (root / "classes.json").write_text('[{"value": 0, "name": "fig", "color": [1, 2, 3]}]')
    return root / "classes.json"


def instances(root: Path) -> Path:
    return coco(root, count=1)


JSONS: list[Callable[[Path], Path]] = [instances, panoptic, labelme, geojson, class_list]
TEXTS: list[Callable[[Path], Path]] = [cvat, voc, yolo, yolo_names, dota, label_map]


def look(root: Path, number: int) -> None:
    """What a user does; only our own errors may come out."""
    try:
        text = json.dumps(inspect(root).to_json())
        assert len(text) < 1_000_000
        for to in ("coco", "masks", "dota", "yolo", "labelme"):
            try:
                convert(root, root.parent / f"{root.name}_{number}_{to}", to)
            except FDAMError as error:
                assert str(error)
    except FDAMError as error:
        assert str(error).isprintable() or "\n" not in str(error)


@pytest.mark.parametrize("make", JSONS, ids=lambda make: make.__name__)
def test_json_with_other_values(make: Callable[[Path], Path], tmp_path: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    file = make(root)
    whole = json.loads(file.read_text())
    chance = random.Random(0)
    for number in range(EXAMPLES):
        data = json.loads(json.dumps(whole))
        for _ in range(chance.choice((1, 1, 2))):
            change(data, chance)
        file.write_text(json.dumps(data))
        look(root, number)


def change(data: object, chance: random.Random) -> None:
    """Replace or remove one value anywhere inside."""
    places: list[tuple] = []
    stack = [data]
    while stack:
        node = stack.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            places.append((node, key))
            if isinstance(node[key], dict | list):
                stack.append(node[key])
    if not places:
        return
    node, key = chance.choice(places)
    if chance.random() < 0.2:
        del node[key]
    else:
        node[key] = copy.deepcopy(chance.choice(VALUES))


@pytest.mark.parametrize("make", TEXTS, ids=lambda make: make.__name__)
def test_other_bytes(make: Callable[[Path], Path], tmp_path: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    file = make(root)
    whole = file.read_bytes()
    chance = random.Random(0)
    pieces = [
        b"",
        b"0",
        b"-",
        b"nan",
        b"1e400",
        b"<",
        b">",
        b"\xff\xfe",
        b"\n",
        b"9" * 30,
        b" ",
        b"x",
        b"[",
        b":",
    ]
    for number in range(EXAMPLES):
        start = chance.randrange(len(whole))
        end = min(len(whole), start + chance.choice((0, 1, 1, 3, 30)))
        file.write_bytes(whole[:start] + chance.choice(pieces) + whole[end:])
        look(root, number)
