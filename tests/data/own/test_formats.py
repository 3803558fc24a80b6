"""Each format read back from files that an independent library wrote, or its documented schema."""

import base64
import json
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fdam_mm.data.formats.rle import decode_rle
from fdam_mm.data.own import LabelledSet, ObjectLabels, SemanticLabels, inspect, open_labelled
from fdam_mm.data.own.shapes import mask_of
from fdam_mm.errors import LabelError, LayoutError

from .made_up import HEIGHT, POLYGON, TRIANGLE, WIDTH, label_map, picture

SIZE = (HEIGHT, WIDTH)
BOXES = np.array([[8, 8, 30, 20], [35, 10, 60, 40]], np.float64)


def objects(labelled: LabelledSet) -> list[tuple[str, ...]]:
    """(picture, class, box) of every object, sorted; boxes in whole pixels."""
    found = []
    for picture_ in labelled.pictures:
        labels = labelled.read(picture_)
        assert isinstance(labels, ObjectLabels)
        for o in labels.objects:
            found.append((picture_.name, labelled.classes[o.label].name, *np.round(o.box)))
    return sorted(found)


def supervision_set(folder: Path, with_masks: bool):
    """A supervision data set of two pictures with two objects each."""
    sv = pytest.importorskip("supervision")
    images, annotations = [], {}
    for index in range(2):
        file = picture(folder / f"source/p{index}.png", seed=index)
        masks = None
        if with_masks:
            masks = np.zeros((2, *SIZE), bool)
            masks[0, 8:20, 8:30] = True
            masks[1, 10:40, 35:60] = True
        images.append(str(file))
        annotations[str(file)] = sv.Detections(
            xyxy=BOXES.copy(), class_id=np.array([1, 0]), mask=masks
        )
    return sv.DetectionDataset(["fig", "nut"], images, annotations)


EXPECTED = sorted(
    (f"p{i}", name, *box)
    for i in range(2)
    for name, box in zip(("nut", "fig"), BOXES.tolist(), strict=True)
)


@pytest.mark.parametrize("with_masks", [False, True], ids=["boxes", "masks"])
@pytest.mark.parametrize("kind", ["coco", "yolo", "voc"])
def test_what_supervision_writes(kind: str, with_masks: bool, tmp_path: Path) -> None:
    data = supervision_set(tmp_path, with_masks)
    root = tmp_path / kind
    if kind == "coco":
        data.as_coco(str(root / "images"), str(root / "annotations.json"))
    elif kind == "yolo":
        data.as_yolo(str(root / "images"), str(root / "labels"), str(root / "data.yaml"))
    else:
        data.as_pascal_voc(str(root / "images"), str(root / "annotations"))
    labelled = open_labelled(root)
    assert (labelled.format, len(labelled.pictures)) == (kind, 2)
    assert labelled.task == ("instance" if with_masks else "detection")
    got = objects(labelled)
    assert [row[:2] for row in got] == [row[:2] for row in EXPECTED]
    error = np.abs(np.array([r[2:] for r in got]) - np.array([r[2:] for r in EXPECTED])).max()
    assert error <= (1 if with_masks else 0)  # outlines of masks end at the centres of pixels
    assert not inspect(root).problems


def test_masks_that_pycocotools_wrote(tmp_path: Path) -> None:
    coco_mask = pytest.importorskip("pycocotools.mask")
    mask = np.zeros(SIZE, np.uint8)
    cv2.circle(mask, (30, 20), 12, 1, -1)
    cv2.circle(mask, (30, 20), 5, 0, -1)  # a hole
    rle = coco_mask.encode(np.asfortranarray(mask))
    picture(tmp_path / "images/a.jpg")
    data = dict(
        images=[dict(id=1, file_name="a.jpg", height=HEIGHT, width=WIDTH)],
        categories=[dict(id=1, name="ring")],
        annotations=[
            dict(
                id=1, image_id=1, category_id=1, iscrowd=0, area=float(coco_mask.area(rle)),
                bbox=coco_mask.toBbox(rle).tolist(),
                segmentation=dict(size=rle["size"], counts=rle["counts"].decode()),
            )
        ],
    )  # fmt: skip
    (tmp_path / "set.json").write_text(json.dumps(data))
    labelled = open_labelled(tmp_path)
    (found,) = labelled.read(labelled.pictures[0]).objects
    assert np.array_equal(decode_rle(found.rle, *SIZE), mask)
    pixels, (left, top) = mask_of(found, SIZE)
    again = np.zeros_like(mask)
    again[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    assert np.array_equal(again, mask)
    assert inspect(tmp_path).classes[0].pixels == mask.sum()


PALETTE = [(0, 0, 0), (128, 0, 0), (0, 128, 0)]


def write_map(kind: str, file: Path) -> None:
    labels = label_map()
    if kind == "index PNG":
        cv2.imwrite(str(file), labels)
    elif kind == "palette PNG":
        image = Image.fromarray(labels)
        image.putpalette([v for colour in [*PALETTE, *[(0, 0, 0)] * 253] for v in colour])
        image.save(file)
    elif kind == "RGB PNG":
        colours = np.zeros((256, 3), np.uint8)
        colours[:3], colours[255] = PALETTE, (0, 0, 0)
        Image.fromarray(colours[labels]).save(file)
    elif kind == "grey RGB PNG":
        Image.fromarray(np.repeat(labels[..., None], 3, 2)).save(file)
    else:
        rasterio = pytest.importorskip("rasterio")
        profile = dict(driver="GTiff", height=HEIGHT, width=WIDTH, count=1, dtype="uint8")
        with rasterio.open(file, "w", compress="lzw", **profile) as raster:
            raster.write(labels, 1)


@pytest.mark.parametrize(
    "kind", ["index PNG", "palette PNG", "RGB PNG", "grey RGB PNG", "index TIFF"]
)
def test_label_maps(kind: str, tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    (tmp_path / "masks").mkdir()
    write_map(kind, tmp_path / "masks" / f"a{'.tif' if 'TIFF' in kind else '.png'}")
    labelled = open_labelled(tmp_path)
    assert (labelled.format, labelled.details, len(labelled.classes)) == ("masks", kind, 3)
    labels = labelled.read(labelled.pictures[0])
    assert isinstance(labels, SemanticLabels)
    expected = label_map().astype(int)
    expected[expected == 255] = 0 if kind == "RGB PNG" else -1
    order = [0, 2, 1] if kind == "RGB PNG" else [0, 1, 2]  # colours are sorted
    wanted = np.where(expected < 0, -1, np.array([*order, 0])[expected])
    assert np.array_equal(labels.labels, wanted)
    assert bool(labelled.parts) == (kind in ("index PNG", "palette PNG"))


def test_black_and_white(tmp_path: Path) -> None:
    for index in range(2):  # one has no object
        picture(tmp_path / f"{index}.jpg")
        mask = np.zeros(SIZE, np.uint8)
        mask[:10] = 255 * index
        cv2.imwrite(str(tmp_path / f"{index}_mask.png"), mask)
    found = inspect(tmp_path)
    assert [(c.name, c.pixels) for c in found.classes] == [
        ("background", 2 * HEIGHT * WIDTH - 10 * WIDTH), ("foreground", 10 * WIDTH),
    ]  # fmt: skip
    assert found.convert_to == "masks" and not found.problems


def test_names_count_from_one(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks/a.png"), label_map(values=(0, 1, 2)))
    (tmp_path / "classes.txt").write_text("fig\nnut\n")
    labelled = open_labelled(tmp_path)
    assert [(c.name, c.value) for c in labelled.classes] == [("fig", 1), ("nut", 2)]
    assert labelled.zero_unlabelled and not labelled.problems


def test_photographs_are_no_label_maps(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    picture(tmp_path / "masks/a.png")
    with pytest.raises(LayoutError, match="more than 1024 values or colours"):
        open_labelled(tmp_path)


def test_voc_label_maps(tmp_path: Path) -> None:
    for index in range(3):
        picture(tmp_path / f"JPEGImages/{index}.jpg")
        (tmp_path / "SegmentationClass").mkdir(exist_ok=True)
        write_map("palette PNG", tmp_path / f"SegmentationClass/{index}.png")
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("0\n1\n")
    (lists / "val.txt").write_text("2\n")
    found = inspect(tmp_path)
    assert (found.format, found.splits) == ("voc-masks", {"train": 2, "val": 1})
    assert found.classes[1].name == "aeroplane" and found.classes[1].pictures == 3


def test_yolo_rotated(tmp_path: Path) -> None:
    picture(tmp_path / "images/train/a.jpg")
    (tmp_path / "labels/train").mkdir(parents=True)
    corners = np.array([[10, 5], [30, 15], [25, 25], [5, 15]]) / [WIDTH, HEIGHT]
    line = " ".join(map(str, corners.ravel()))
    (tmp_path / "labels/train/a.txt").write_text(f"1 {line}\n")
    (tmp_path / "data.yaml").write_text("names:\n  0: fig\n  1: nut\n")
    labelled = open_labelled(tmp_path)
    assert (labelled.task, labelled.pictures[0].split) == ("oriented", "train")
    (found,) = labelled.read(labelled.pictures[0]).objects
    assert found.label == 1
    np.testing.assert_allclose(found.corners, [[10, 5], [30, 15], [25, 25], [5, 15]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0.5 0.5 0.1", "3 numbers behind the class"),
        ("0 0.5 0.5 0.1 nan", "4 numbers behind the class"),
        ("fig 0.5 0.5 0.1 0.1", "expected a class and numbers"),
        ("0 50 50 10 10", "expected a class from 0 on and numbers from 0 to 1"),
    ],
)
def test_broken_yolo_lines_are_named(text: str, said: str, tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / f"images/{name}.jpg")
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / f"labels/{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "labels/b.txt").write_text(text)
    (tmp_path / "data.yaml").write_text("names: [fig]\n")
    problems = "\n".join(map(str, inspect(tmp_path).problems))
    assert "b.txt:1: " in problems and said in problems


def test_labelme(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    mask = np.zeros((10, 6), np.uint8)
    mask[2:8, 1:5] = 1
    stream = BytesIO()
    Image.fromarray(mask * 255).save(stream, "PNG")
    shapes = [
        dict(label="fig", shape_type="polygon", points=np.reshape(POLYGON, (-1, 2)).tolist()),
        dict(label="fig", shape_type="rectangle", points=[[8, 8], [30, 20]], group_id=None),
        dict(label="nut", shape_type="circle", points=[[30, 20], [30, 28]]),
        dict(
            label="nut", shape_type="mask", points=[[40, 30], [45, 39]],
            mask=base64.b64encode(stream.getvalue()).decode(),
        ),
        dict(label="leaf", shape_type="polygon", points=[[0, 0], [4, 0], [4, 4]], group_id=7),
        dict(label="leaf", shape_type="polygon", points=[[9, 9], [12, 9], [12, 12]], group_id=7),
        dict(label="tip", shape_type="point", points=[[3, 3]]),
    ]  # fmt: skip
    data = dict(
        version="5.5.0", flags={}, shapes=shapes, imagePath="a.jpg", imageData=None,
        imageHeight=HEIGHT, imageWidth=WIDTH,
    )  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(data))
    labelled = open_labelled(tmp_path)
    assert objects(labelled) == [
        ("a", "fig", 8, 8, 30, 20), ("a", "fig", 8, 8, 30, 20), ("a", "leaf", 0, 0, 12, 12),
        ("a", "nut", 22, 12, 38, 28), ("a", "nut", 41, 32, 45, 38),
    ]  # fmt: skip
    (problem,) = labelled.problems
    assert "shapes without an area: 1 point (tip)" in str(problem)


def cvat_xml(shapes: str) -> str:
    return f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels>
<label><name>fig</name><color>#ff0102</color></label><label><name>nut</name></label>
</labels></task></meta>
<image id="0" name="sub/a.jpg" subset="Train" width="{WIDTH}" height="{HEIGHT}">{shapes}</image>
</annotations>"""


def test_cvat(tmp_path: Path) -> None:
    picture(tmp_path / "images/sub/a.jpg")
    points = ";".join(f"{x},{y}" for x, y in np.reshape(TRIANGLE, (-1, 2)))
    (tmp_path / "annotations.xml").write_text(
        cvat_xml(
            '<box label="fig" occluded="1" xtl="8" ytl="8" xbr="30" ybr="20" z_order="0">'
            '<attribute name="ripe">yes</attribute></box>'
            '<box label="fig" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90.0"/>'
            f'<polygon label="nut" points="{points}"/>'
            '<mask label="nut" rle="3, 4, 5" left="40" top="30" width="4" height="3"/>'
            '<ellipse label="nut" cx="20" cy="20" rx="4" ry="8"/>'
            '<points label="nut" points="1,1"/>'
        )
    )
    labelled = open_labelled(tmp_path)
    assert labelled.pictures[0].split == "train" and labelled.classes[0].colour == (255, 1, 2)
    assert objects(labelled) == [
        ("sub/a", "fig", 8, 8, 30, 20), ("sub/a", "fig", 15, 5, 25, 25),
        ("sub/a", "nut", 16, 12, 24, 28), ("sub/a", "nut", 35, 10, 60, 40),
        ("sub/a", "nut", 40, 30, 44, 32),
    ]  # fmt: skip
    first = labelled.read(labelled.pictures[0]).objects[0]
    assert dict(first.attributes) == {"occluded": "1", "ripe": "yes"}
    assert "1 points" in str(labelled.problems[0])


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ('<box label="fig" xtl="8" ytl="8" xbr="x" ybr="20"/>', "xbr 'x', expected a number"),
        ('<box xtl="8" ytl="8" xbr="9" ybr="20"/>', "no label"),
        ('<polygon label="fig" points="1,1;2,2"/>', "expected 3 or more x, y"),
        ('<mask label="fig" rle="3" left="0" top="0" width="900000" height="900000"/>', "a mask"),
        ('<mask label="fig" rle="3,9" left="0" top="0" width="4" height="2"/>', "a broken rle"),
    ],
)
def test_broken_cvat(shapes: str, said: str, tmp_path: Path) -> None:
    picture(tmp_path / "sub/a.jpg")
    (tmp_path / "annotations.xml").write_text(cvat_xml(shapes))
    assert said in "\n".join(map(str, inspect(tmp_path).problems))


def test_entities_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "sub/a.jpg")
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    text = cvat_xml("").replace("<annotations>", f"{bomb}<annotations>")
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(LabelError, match="declares entities"):
        open_labelled(tmp_path)


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/secret.jpg", "C:\\secret.jpg", "a\0b"])
def test_no_picture_outside_of_the_folder(name: str, tmp_path: Path) -> None:
    root = tmp_path / "x/y"
    picture(tmp_path / "secret.jpg")
    picture(root / "a.jpg")
    data = dict(
        images=[dict(id=1, file_name=name, height=HEIGHT, width=WIDTH)],
        annotations=[], categories=[dict(id=1, name="fig")],
    )  # fmt: skip
    (root / "set.json").write_text(json.dumps(data))
    found = inspect(root)
    assert not found.pictures and "1 pictures that are not in" in str(found.problems[0])


def test_geojson_over_geotiff(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    warp = pytest.importorskip("rasterio.warp")
    transform = rasterio.transform.from_origin(500000, 4000000, 0.5, 0.5)
    profile = dict(driver="GTiff", height=HEIGHT, width=WIDTH, count=4, dtype="uint16")
    with rasterio.open(
        tmp_path / "a.tif", "w", crs="EPSG:32633", transform=transform, **profile
    ) as raster:
        raster.write(np.full((4, HEIGHT, WIDTH), 900, np.uint16))
        corners = [raster.transform * tuple(p) for p in np.reshape(POLYGON, (-1, 2))]
    ring = [*corners, corners[0]]
    hole = [transform * p for p in ((12, 10), (20, 10), (20, 16), (12, 16), (12, 10))]
    lonlat = warp.transform_geom(
        "EPSG:32633", "OGC:CRS84", dict(type="Polygon", coordinates=[ring])
    )

    def write(geometry: dict, crs: str | None) -> None:
        data = dict(
            type="FeatureCollection",
            features=[dict(type="Feature", properties={"class": "roof"}, geometry=geometry)],
        )
        if crs:
            data["crs"] = dict(type="name", properties=dict(name=crs))
        (tmp_path / "a.geojson").write_text(json.dumps(data))

    for geometry, crs in (
        (dict(type="Polygon", coordinates=[ring]), "urn:ogc:def:crs:EPSG::32633"),
        (lonlat, None),
    ):
        write(geometry, crs)
        labelled = open_labelled(tmp_path)
        assert (labelled.format, labelled.task) == ("geojson", "instance")
        assert objects(labelled) == [("a", "roof", 8, 8, 30, 20)]
    write(dict(type="Polygon", coordinates=[ring, hole]), "EPSG:32633")
    found = inspect(tmp_path)
    assert found.classes[0].pixels == 22 * 12 - 8 * 6
    assert (found.pictures[0].bands, found.pictures[0].depth) == (4, "uint16")


def test_panoptic(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    ids = np.zeros((*SIZE, 3), np.uint8)
    ids[:20, :, 0], ids[20:, :, 1] = 5, 1  # 5 and 256
    (tmp_path / "panoptic").mkdir()
    Image.fromarray(ids).save(tmp_path / "panoptic/a.png")
    segments = [
        dict(id=5, category_id=1, iscrowd=0, bbox=[0, 0, WIDTH, 20], area=20 * WIDTH),
        dict(id=256, category_id=9, iscrowd=0, bbox=[0, 20, WIDTH, 28], area=28 * WIDTH),
    ]
    data = dict(
        images=[dict(id=1, file_name="a.jpg", height=HEIGHT, width=WIDTH)],
        annotations=[dict(image_id=1, file_name="a.png", segments_info=segments)],
        categories=[dict(id=1, name="fig", isthing=1), dict(id=9, name="table", isthing=0)],
    )
    (tmp_path / "panoptic.json").write_text(json.dumps(data))
    found = inspect(tmp_path)
    assert (found.format, found.task, found.convert_to) == ("coco-panoptic", "panoptic", None)
    assert [(c.name, c.info.is_thing, c.pixels) for c in found.classes] == [
        ("fig", True, 20 * WIDTH), ("table", False, 28 * WIDTH),
    ]  # fmt: skip
    assert not found.problems


@pytest.mark.parametrize("version", ["v1.0", "v1.5", "v2.0"])
def test_dota(version: str, tmp_path: Path) -> None:
    name = {"v1.0": "ship", "v1.5": "container-crane", "v2.0": "helipad"}[version]
    picture(tmp_path / "train/images/a.png")
    (tmp_path / "train/labelTxt").mkdir()
    text = f"imagesource:GoogleEarth\r\ngsd:0.2\r\n8 8 30 8 30 20 8 20 {name} 1\r\n"
    (tmp_path / "train/labelTxt/a.txt").write_text(text)
    labelled = open_labelled(tmp_path)
    assert labelled.details == f"classes of DOTA {version}"
    assert objects(labelled) == [("a", name, 8, 8, 30, 20)]
    assert labelled.pictures[0].split == "train" and not labelled.parts  # for the header
