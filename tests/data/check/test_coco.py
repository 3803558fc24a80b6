"""Checks of COCO instances and panoptic segments: each fault gives one problem that names it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from support.coco import METAINFO, THINGS, Picture, Thing, write_coco, write_ids
from support.tools import run_tool

from fdam_mm.data.check.instances import InstanceSet
from fdam_mm.data.check.panoptic import PanopticSet
from fdam_mm.data.check.sets import DataSet, data_sets
from fdam_mm.errors import ConfigError

PICTURES = [
    Picture([Thing((4, 4, 20, 20)), Thing((40, 10, 30, 30), 7, crowd=True)], stuff=[90, 95]),
    Picture(),
]
Change = Callable[[dict], None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_coco(tmp_path, PICTURES)


def instance_set(root: Path) -> InstanceSet:
    return InstanceSet(root / "train2017", root / "annotations/instances_train2017.json", THINGS)


def panoptic_set(root: Path) -> PanopticSet:
    json_file = root / "annotations/panoptic_train2017.json"
    return PanopticSet(
        root / "train2017", json_file.with_suffix(""), json_file, METAINFO["classes"]
    )


def only_problem(data: DataSet) -> str:
    problems = data.check().problems
    assert len(problems) == 1, problems
    return str(problems[0])


def change_json(file: Path, change: Change) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


@pytest.mark.parametrize("kind", [instance_set, panoptic_set])
def test_good_data(root: Path, kind: Callable[[Path], DataSet]) -> None:
    seen = []
    report = kind(root).check(progress=lambda images: seen.extend(images) or images)
    assert report.problems == []
    assert report.num_pictures == len(seen) == 2


@pytest.mark.parametrize("kind", [instance_set, panoptic_set])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("images"), "no 'images', expected the lists"),
        (lambda d: d["images"][0].pop("width"), r"images\[0\] has no width"),
        (lambda d: d["images"].append(d["images"][1]), "2 images with id 2, expected one"),
        (lambda d: d["images"][1].update(width=40), "2.jpg: picture is 64 high and 96 wide"),
        (lambda d: d["images"][1].update(file_name="b.jpg"), "b.jpg: no such file"),
        (lambda d: d["categories"][0].update(name="odd"), "no category disc, .*categories odd"),
        (lambda d: d["categories"].append(d["categories"][0]), "2 categories with id 2"),
        (
            lambda d: d["categories"].reverse(),
            "in the order .*bar, box, disc, exp.*disc, box, bar",
        ),
    ],
)
def test_images_and_categories(
    root: Path, kind: Callable[[Path], DataSet], change: Change, message: str
) -> None:
    data = kind(root)
    change_json(data.ann_file, change)
    found = ", ".join(map(str, data.check().problems))
    assert re.search(message, found), found


def first(**values: object) -> Change:
    """Change the first annotation; None stands for nothing."""
    return lambda data: data["annotations"][0].update(values)


def rle(pixels: int) -> dict:
    text = masks.encode(np.ones((pixels, 1), np.uint8, order="F"))["counts"].decode()
    return dict(size=[64, 96], counts=text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (first(id=2), "2 annotations with id 2"),
        (first(image_id=9), "annotation 1: image_id 9, expected an image of the JSON"),
        (first(category_id=4), "annotation 1: category_id 4, expected a category"),
        (first(area=None), "annotation 1: no area"),
        (first(bbox=[0, 0, 0, 5]), "annotation 1: bbox .* a width and height above 0"),
        (first(bbox=[80, 0, 20, 5]), "annotation 1: bbox .* sticks out.* 64 high and 96 wide"),
        (first(bbox=[0, 0, float("nan"), 5]), "annotation 1: bbox .* 4 numbers"),
        (first(iscrowd=2), "annotation 1: iscrowd 2"),
        (first(segmentation=[]), r"annotation 1: segmentation \[\]"),
        (first(segmentation=[[1, 2, 3, 4]]), "annotation 1: a polygon of 4 numbers"),
        (first(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), "annotation 1: a polygon of 7 numbers"),
        (first(segmentation=dict(size=[96, 64], counts=[6144])), r"RLE of size \[96, 64\]"),
        (first(segmentation=dict(size=[64, 96], counts=[6143])), "broken RLE, .* 6144 pixels"),
        (first(segmentation=rle(6143)), "annotation 1: a broken RLE"),
        (first(area=0), "annotation 1: area 0, expected a number above 0, or it is dropped"),
        (first(area=-1.5), "annotation 1: area -1.5, .*dropped"),
        (first(area="12"), "annotation 1: area '12', expected a number"),
        (first(area=10**400), "annotation 1: area 1000.*0, expected a number"),
        (lambda d: d["annotations"][0].pop("iscrowd"), "annotation 1: no iscrowd, at which"),
        (first(iscrowd="0"), "annotation 1: iscrowd '0'"),
        (first(ignore=1), "annotation 1: ignore 1, expected 0 or no such key, or it is dropped"),
        (first(bbox=[4, 4, 20, 0.5]), "annotation 1: bbox .* 1 or more, or it is dropped"),
        (first(bbox=[200, 4, 5, 5]), "sticks out and nothing of it in the picture, .*dropped"),
        (first(bbox="4 4 5 5"), "annotation 1: bbox '4 4 5 5', expected 4 numbers"),
        (first(bbox=[0, 0, 10**400, 5]), "annotation 1: bbox .*, expected 4 numbers"),
        (first(category_id=[2]), r"annotation 1: category_id \[2\]"),
        (first(id=[1]), r"annotation \[1\]: id \[1\], expected a number or a text"),
        (first(id=0), "annotation 0: id 0, which COCOeval takes for never found"),
        (first(image_id={}), r"annotation 1: image_id \{\}, expected a number or a text"),
        (first(segmentation=[1, 2, 3, 4, 5, 6]), "annotation 1: a segmentation that is one list"),
        (first(segmentation=[[1, 2, 3, 4, 5, 1e9]]), "annotation 1: a polygon with the number 1"),
        (first(segmentation=[[200, 2, 203, 4, 205, 6]]), "annotation 1: a polygon outside"),
        (first(segmentation="text"), "annotation 1: segmentation 'text', expected polygons"),
        (lambda d: d["annotations"].append(7), r"annotations\[2\] is 7, expected an entry"),
    ],
)
def test_annotations(root: Path, change: Change, message: str) -> None:
    data = instance_set(root)
    change_json(data.ann_file, change)
    assert re.search(message, only_problem(data))


def test_all_faults_of_an_entry_are_one_line(root: Path) -> None:
    change = first(area=0, iscrowd=3, bbox=None, segmentation=[["x"], [1]], id="a\nb\ud800")
    change_json(instance_set(root).ann_file, change)
    found = only_problem(instance_set(root))
    assert "no bbox and area 0 and iscrowd 3 and a polygon that is" in found
    assert found.isprintable() and "more faults" in found


def test_an_object_with_id_0_is_never_found(root: Path) -> None:
    """As the check says: COCOeval takes the id for whether a detection was right."""
    file = instance_set(root).ann_file
    scores = []
    for number in (1, 0):
        change_json(file, first(id=number))
        truth = COCO(str(file))
        found = [dict(image_id=1, category_id=2, bbox=[4, 4, 20, 20], score=1.0)]
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.params.catIds = [2]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        scores.append(evaluation.stats[0])
    assert scores[0] > 0.99 and scores[1] == 0


@pytest.mark.parametrize("seed", range(3))
def test_good_rle(root: Path, seed: int) -> None:
    """As pycocotools compresses masks of many runs."""
    noise = np.random.default_rng(seed).random((64, 96)) < 10.0**-seed
    encoded = masks.encode(np.asfortranarray(noise, dtype=np.uint8))
    segmentation = dict(size=[64, 96], counts=encoded["counts"].decode())
    change_json(instance_set(root).ann_file, first(segmentation=segmentation))
    assert instance_set(root).check().problems == []


def segment(**values: object) -> Change:
    return lambda data: data["annotations"][0]["segments_info"][0].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (first(image_id=9), "annotation of image 9, expected an image.*no annotation of image 1"),
        (first(file_name="b.png"), "image 1 has file_name b.png, expected 000000000001.png"),
        (first(segments_info=None), "image 1 has no segments_info"),
        (lambda d: d["annotations"].pop(), "no annotation of image 2"),
        (segment(category_id=4), "image 1, segment 90090: category_id 4"),
        (segment(bbox=[0, 0, 0, 5]), "image 1, segment 90090: bbox"),
        (segment(area=7), r"000000000001.png: segment 90090 has \d+ pixels, expected 7, its area"),
        (segment(id=5), "segment ids 90090 in the pixels.*no pixels of the segments 5"),
    ],
)
def test_segments(root: Path, change: Change, message: str) -> None:
    data = panoptic_set(root)
    change_json(data.ann_file, change)
    found = ", ".join(map(str, data.check().problems))
    assert re.search(message, found), found


def test_panoptic_pngs(root: Path) -> None:
    data = panoptic_set(root)
    file = data.seg_dir / "000000000002.png"
    write_ids(file, np.zeros((30, 96), int))
    assert "000000000002.png: PNG is 30 high and 96 wide" in only_problem(data)
    Image.fromarray(np.zeros((64, 96), np.uint8)).save(file)
    assert "000000000002.png: mode L, expected 8-bit RGB" in only_problem(data)
    file.write_bytes(b"")
    assert "000000000002.png: unreadable" in only_problem(data)
    file.unlink()
    assert "000000000002.png: no such file" in only_problem(data)


def test_panoptic_pngs_are_turned_as_mmdet_turns_them(root: Path) -> None:
    data = panoptic_set(root)
    file = next(data.seg_dir.glob("*.png"))
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(file) as picture:
        picture.rotate(90, expand=True).save(file, exif=exif)  # turned back when it is read
    assert data.check().problems == []


@pytest.mark.parametrize("kind", [instance_set, panoptic_set])
def test_missing_and_broken_files(root: Path, kind: Callable[[Path], DataSet]) -> None:
    data = kind(root)
    (data.img_dir / "000000000001.jpg").write_bytes(b"")
    assert "000000000001.jpg: unreadable" in only_problem(data)
    data.ann_file.write_text("{")
    assert "unreadable" in only_problem(data)
    data.ann_file.unlink()
    assert "json: no such file, expected a COCO JSON; prepare" in only_problem(data)


def config(root: Path, panoptic: bool, **options: object) -> Config:
    prefix = dict(img="train2017/") | (
        dict(seg="annotations/panoptic_train2017/") if panoptic else {}
    )
    dataset = dict(
        type="CocoPanopticDataset" if panoptic else "CocoDataset",
        data_root=str(root),
        ann_file=f"annotations/{'panoptic' if panoptic else 'instances'}_train2017.json",
        data_prefix=prefix,
        metainfo=METAINFO if panoptic else dict(classes=THINGS),
        **options,
    )
    return Config(dict(default_scope="mmdet", train_dataloader=dict(dataset=dataset)))


def test_sets_of_a_config(root: Path) -> None:
    assert list(data_sets(config(root, panoptic=False))) == [instance_set(root)]
    assert list(data_sets(config(root, panoptic=True))) == [panoptic_set(root)]
    lacking = config(root, panoptic=True)
    lacking.train_dataloader.dataset.data_prefix.pop("seg")
    with pytest.raises(ConfigError, match="expected a folder of PNGs in seg"):
        data_sets(lacking)
    lacking.train_dataloader.dataset.pop("ann_file")
    with pytest.raises(ConfigError, match="expected a JSON"):
        data_sets(lacking)


def test_tool(root: Path, tmp_path: Path) -> None:
    (root / "train2017/000000000002.jpg").unlink()
    config(root, panoptic=True).dump(tmp_path / "config.py")
    done = run_tool("check_data.py", tmp_path / "config.py", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    first_line, last_line = done.stdout.splitlines()
    assert "000000000002.jpg: no such file" in first_line
    assert last_line == "2 pictures checked, 1 problem"
