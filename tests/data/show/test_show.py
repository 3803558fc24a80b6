"""Contact sheets of what the config's own pipeline gives, for each task."""

import json
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

import fdam_mm.openmmlab  # noqa: F401  (registers the steps that the configs name)
from fdam_mm.data.show import show_data
from fdam_mm.errors import ConfigError
from fdam_mm.visualization.histograms import class_and_size_histograms

CLASSES, PALETTE = ("fig", "nut"), [(255, 0, 0), (0, 0, 255)]
SIZE = (64, 96)
META = dict(classes=CLASSES, palette=PALETTE)
LOAD = dict(type="LoadImageFromFile")
FLIP = dict(type="RandomFlip", prob=1.0)


def pictures(root: Path, count: int = 3) -> None:
    (root / "images").mkdir()
    for index in range(count):
        cv2.imwrite(str(root / f"images/{index}.png"), np.full((*SIZE, 3), 40, np.uint8))


def semantic(root: Path) -> dict:
    (root / "masks").mkdir()
    for index in range(3):
        labels = np.zeros(SIZE, np.uint8)
        labels[:, :32], labels[60:] = (index == 0), 255  # only the first has nuts, at its left
        cv2.imwrite(str(root / f"masks/{index}.png"), labels)
    return dict(
        type="mmseg.BaseSegDataset", data_prefix=dict(img_path="images", seg_map_path="masks"),
        img_suffix=".png", seg_map_suffix=".png", metainfo=META,
        pipeline=[LOAD, dict(type="LoadAnnotations"), FLIP, dict(type="PackSegInputs")],
    )  # fmt: skip


def instance(root: Path) -> dict:
    box = [4.0, 4.0, 24.0, 40.0]
    polygon = [4.0, 4.0, 28.0, 4.0, 28.0, 44.0, 4.0, 44.0]
    data = dict(
        images=[dict(id=i + 1, file_name=f"{i}.png", height=64, width=96) for i in range(3)],
        annotations=[
            dict(
                id=i + 1, image_id=i + 1, category_id=2 if i == 0 else 1, bbox=box, area=960,
                iscrowd=0, segmentation=[polygon],
            )
            for i in range(3)
        ],
        categories=[dict(id=1, name="fig"), dict(id=2, name="nut")],
    )  # fmt: skip
    (root / "set.json").write_text(json.dumps(data))
    steps = [LOAD, dict(type="LoadInstances"), FLIP, dict(type="PackDetInputs")]
    return dict(
        type="CocoDataset", data_prefix=dict(img="images"), ann_file="set.json", metainfo=META,
        pipeline=steps,
    )  # fmt: skip


def panoptic(root: Path) -> dict:
    (root / "png").mkdir()
    for index in range(3):
        ids = np.zeros((*SIZE, 3), np.uint8)
        ids[..., 0], ids[:, :32, 0] = 1, 2
        Image.fromarray(ids).save(root / f"png/{index}.png")
    infos = [
        dict(id=1, category_id=1, iscrowd=0, bbox=[32, 0, 64, 64], area=64 * 64),
        dict(id=2, category_id=2, iscrowd=0, bbox=[0, 0, 32, 64], area=32 * 64),
    ]
    data = dict(
        images=[dict(id=i + 1, file_name=f"{i}.png", height=64, width=96) for i in range(3)],
        annotations=[
            dict(image_id=i + 1, file_name=f"{i}.png", segments_info=infos) for i in range(3)
        ],
        categories=[dict(id=1, name="fig", isthing=0), dict(id=2, name="nut", isthing=1)],
    )
    (root / "set.json").write_text(json.dumps(data))
    steps = [LOAD, dict(type="LoadCocoPanoptic"), FLIP, dict(type="PackDetInputs")]
    return dict(
        type="CocoPanopticDataset", data_prefix=dict(img="images", seg="png"), ann_file="set.json",
        metainfo=dict(META, thing_classes=("nut",), stuff_classes=("fig",)), pipeline=steps,
    )  # fmt: skip


def oriented(root: Path) -> dict:
    (root / "txt").mkdir()
    for index in range(3):
        name = "nut" if index == 0 else "fig"
        (root / f"txt/{index}.txt").write_text(f"4 10 20 4 30 40 10 44 {name} 0\n")
    steps = [
        dict(type="mmdet.LoadImageFromFile"),
        dict(type="mmdet.LoadAnnotations", with_bbox=True, box_type="qbox"),
        dict(type="ConvertBoxType", box_type_mapping=dict(gt_bboxes="rbox")),
        dict(type="mmdet.RandomFlip", prob=1.0),
        dict(type="mmdet.PackDetInputs"),
    ]
    return dict(
        type="DOTADataset", data_prefix=dict(img_path="images"), ann_file="txt/", metainfo=META,
        img_suffix="png", pipeline=steps,
    )  # fmt: skip


TASKS = {
    "semantic": ("mmseg", semantic), "instance": ("mmdet", instance),
    "panoptic": ("mmdet", panoptic), "oriented": ("mmrotate", oriented),
}  # fmt: skip


def config_of(task: str, root: Path) -> Config:
    scope, make = TASKS[task]
    pictures(root)
    return Config(
        dict(
            default_scope=scope,
            train_dataloader=dict(dataset=dict(data_root=str(root), **make(root))),
        )
    )


@pytest.mark.parametrize("task", TASKS)
def test_labels_lie_where_the_pipeline_put_them(task: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    files = show_data(config_of(task, tmp_path), out, count=4)
    assert random.getstate() == states[0] and np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])
    names = ["samples.png", "rarest.png", "classes_1.png", "histograms.png"]
    assert [file.name for file in files] == names
    sheet = cv2.imread(str(out / "rarest.png"))
    blue = (sheet[..., 0] > 120) & (sheet[..., 2] < 60)
    blue = blue[:320]  # the first tile, above its text and the legend
    assert blue.any()
    columns = np.flatnonzero(blue.any(0))
    assert columns.min() > 6 + 320 / 2  # the nut was at the left: the pipeline flips


def test_rare_classes_come_first(tmp_path: Path) -> None:
    show_data(config_of("instance", tmp_path), tmp_path / "out", count=1)
    sheet = cv2.imread(str(tmp_path / "out/rarest.png"))
    assert ((sheet[..., 0] > 120) & (sheet[..., 2] < 60)).any()


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no val_dataloader.dataset; name another --split"):
        show_data(config_of("semantic", tmp_path), tmp_path / "out", "val")


def test_classes_that_are_not_there_have_no_bar() -> None:
    """The picture is as tall for 200 classes as for the two of them that there are."""
    sizes = []
    for count in (2, 200):
        amounts = [5.0, 3.0, *[0.0] * (count - 2)]
        names = [f"class {k}" for k in range(count)]
        data = class_and_size_histograms(names, amounts, "objects", [4.0, 9.0], "train")
        sizes.append(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape)
    assert sizes[0] == sizes[1]
