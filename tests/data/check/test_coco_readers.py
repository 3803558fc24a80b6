"""What is demanded of COCO's files depends on who reads them: pipelines, filters, evaluators."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from pycocotools import mask as masks
from support.coco import METAINFO, THINGS, Picture, Thing, build_coco, write_coco

import fdam_mm.openmmlab  # noqa: F401  registers LoadInstances
from fdam_mm.data.check.sets import data_sets

PICTURES = [
    Picture([Thing((4, 4, 20, 20)), Thing((40, 10, 30, 30), 7, crowd=True)], stuff=[90, 95]),
    Picture(),
]
BROKEN = dict(size=[64, 96], counts=[6143])
Change = Callable[[dict], None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_coco(tmp_path, PICTURES)


def config(root: Path, panoptic: bool = False, **options: object) -> Config:
    """A config that trains on the set and has no evaluator."""
    kind = "panoptic" if panoptic else "instances"
    dataset = dict(
        type="CocoPanopticDataset" if panoptic else "CocoDataset",
        data_root=str(root),
        ann_file=f"annotations/{kind}_train2017.json",
        data_prefix=dict(img="train2017/")
        | (dict(seg=f"annotations/{kind}_train2017/") if panoptic else {}),
        metainfo=METAINFO if panoptic else dict(classes=THINGS),
        **options,
    )
    return Config(dict(default_scope="mmdet", train_dataloader=dict(dataset=dataset)))


def evaluated(root: Path, panoptic: bool = False) -> Config:
    """A config whose evaluator reads the instances of another split."""
    changed = config(root, panoptic)
    changed.val_dataloader = changed.train_dataloader
    changed.val_evaluator = dict(
        type="CocoMetric",
        metric=["bbox", "segm"],
        ann_file=str(root / "annotations/instances_val2017.json"),
    )
    return changed


def change_json(file: Path, change: Change) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def change_instances(root: Path, change: Change, split: str = "train") -> None:
    change_json(root / f"annotations/instances_{split}2017.json", change)


def first(**values: object) -> Change:
    return lambda data: data["annotations"][0].update(values)


def without(key: str) -> Change:
    return lambda data: data["annotations"][0].pop(key)


def all_problems(changed: Config) -> str:
    return "\n".join(str(p) for data in data_sets(changed) for p in data.check().problems)


@pytest.mark.parametrize("panoptic", [False, True])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("iscrowd"), "annotation 1: no iscrowd"),
        (without("segmentation"), "annotation 1: no segmentation"),
        (first(area=-1), "annotation 1: area -1"),
        (first(id=0), "annotation 0: id 0"),
        (first(segmentation=BROKEN), "annotation 1: a broken RLE"),
        (first(image_id=9), "annotation 1: image_id 9"),
        (lambda d: d.pop("categories"), "no 'categories'"),
    ],
)
def test_what_only_an_evaluator_reads(
    root: Path, change: Change, message: str, panoptic: bool
) -> None:
    write_coco(root, PICTURES, "val")
    assert all_problems(evaluated(root, panoptic)) == ""
    change_instances(root, change, "val")
    found = all_problems(evaluated(root, panoptic))
    assert f"instances_val2017.json: {message}" in found, found


def test_a_training_set_needs_no_crowd_flag(root: Path) -> None:
    """mmdet reads it with a default; only an evaluator stops."""
    write_coco(root, PICTURES, "val")
    change_instances(root, without("iscrowd"))
    assert all_problems(evaluated(root)) == ""


def test_a_missing_file_of_an_evaluator(root: Path) -> None:
    assert "instances_val2017.json: no such file" in all_problems(evaluated(root))
    formatting = evaluated(root)
    formatting.val_evaluator.format_only = True  # reads no annotations
    assert all_problems(formatting) == ""


def test_a_subset_of_the_classes(root: Path) -> None:
    subset = config(root)
    subset.train_dataloader.dataset.metainfo = dict(classes=THINGS[:2])
    assert all_problems(subset) == ""
    subset.train_dataloader.dataset.metainfo = dict(classes=THINGS[1::-1])
    assert "in the order disc, box, expected box, disc" in all_problems(subset)


def test_a_panoptic_subset_stops_the_loader(root: Path) -> None:
    subset = config(root, panoptic=True)
    subset.train_dataloader.dataset.metainfo = dict(classes=(*THINGS, "sky"))
    found = all_problems(subset)
    assert "segments of the categories soil, at which the loader stops" in found, found
    with pytest.raises(KeyError):
        build_coco(subset, root, "train", metainfo=dict(classes=(*THINGS, "sky")), pipeline=[])


def test_panoptic_classes_for_the_metric(root: Path) -> None:
    subset = config(root, panoptic=True)
    subset.val_dataloader = subset.pop("train_dataloader")
    subset.val_dataloader.dataset.metainfo = dict(classes=(*THINGS, "sky"))
    folder = root / "annotations/panoptic_train2017"
    subset.val_evaluator = [
        dict(type="CocoPanopticQuality", ann_file=f"{folder}.json", seg_prefix=f"{folder}/")
    ]
    assert len(data_sets(subset)) == 1
    assert "categories soil that the config does not name" in all_problems(subset)


def test_things_that_the_json_takes_for_stuff(root: Path) -> None:
    file = root / "annotations/panoptic_train2017.json"
    change_json(file, lambda d: d["categories"][0].update(isthing=0))
    assert "isthing 0 of the categories disc, whose segments" in all_problems(config(root, True))
    change_json(file, lambda d: d["categories"][0].pop("isthing"))
    assert "no isthing of the categories 2, expected 1 or 0" in all_problems(config(root, True))


def test_an_evaluator_of_a_test_set_without_annotations(root: Path) -> None:
    unlabelled = config(root)
    file = root / unlabelled.train_dataloader.dataset.ann_file
    change_json(file, lambda d: d.pop("annotations"))
    unlabelled.test_dataloader = unlabelled.pop("train_dataloader")
    unlabelled.test_evaluator = dict(type="CocoMetric", ann_file=str(file))
    assert all_problems(unlabelled) == ""


@pytest.mark.parametrize("panoptic", [False, True])
def test_a_test_set_without_annotations(root: Path, panoptic: bool) -> None:
    unlabelled = config(root, panoptic)
    change_json(
        root / unlabelled.train_dataloader.dataset.ann_file, lambda d: d.pop("annotations")
    )
    assert "no 'annotations', expected the lists" in all_problems(unlabelled)
    unlabelled.test_dataloader = unlabelled.pop("train_dataloader")
    assert all_problems(unlabelled) == ""
    unlabelled.test_dataloader.dataset.data_prefix.pop("seg", None)
    assert all_problems(unlabelled) == ""


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (dict(type="LoadAnnotations", with_mask=True, poly2mask=False), "an RLE, which LoadAnno"),
        (dict(type="LoadAnnotations", with_mask=True), ""),
        (dict(type="LoadInstances"), ""),
        (dict(type="mmdet.LoadAnnotations", with_bbox=True), ""),
    ],
)
def test_rles_are_read_as_the_pipeline_reads_them(root: Path, step: dict, message: str) -> None:
    ones = masks.encode(np.ones((64, 96), np.uint8, order="F"))["counts"].decode()
    change_instances(root, first(segmentation=dict(size=[64, 96], counts=ones)))
    found = all_problems(config(root, pipeline=[step]))
    assert (message in found) if message else found == ""


def test_boxes_alone_need_no_masks(root: Path) -> None:
    change_instances(root, without("segmentation"))
    step = dict(type="LoadAnnotations", with_bbox=True)
    assert all_problems(config(root, pipeline=[step])) == ""
    assert "annotation 1: no segmentation" in all_problems(config(root))


def test_small_pictures_that_are_left_out(root: Path) -> None:
    small = config(root, filter_cfg=dict(filter_empty_gt=True, min_size=65))
    assert "which the loader leaves out, expected 65 or more" in all_problems(small)


def test_one_set_of_two_splits_is_read_once(root: Path) -> None:
    both = config(root, pipeline=[dict(type="LoadAnnotations", with_bbox=True)])
    both.val_dataloader = config(root, pipeline=[dict(type="LoadInstances")]).train_dataloader
    change_instances(root, without("segmentation"))
    assert list(data_sets(both).values()) == [["train", "val"]]
    assert "annotation 1: no segmentation" in all_problems(both)
