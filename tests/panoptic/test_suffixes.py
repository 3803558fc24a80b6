"""Panoptic pictures of any suffix and folder: the check, the loader and the metric agree."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoPanopticDataset
from mmengine.config import Config
from mmengine.registry import METRICS, init_default_scope
from PIL import Image
from support.coco import METAINFO, Picture, Thing, write_coco

import fdam_mm.openmmlab  # noqa: F401  registers the loader and the metric
from fdam_mm.data.check.sets import data_sets

NAMES = ["a.jpg", "a.jpeg", "a.png", "a.JPG", "a.b.tif", "sub/a.jpg", "sub/x/a.webp", "a"]


def renamed(root: Path, name: str) -> dict:
    """Write a set of one picture of another name; returns a config's dataset."""
    write_coco(root, [Picture([Thing((4, 4, 20, 20))], stuff=[90, 95])])
    folder = root / "annotations/panoptic_train2017"
    picture, png = root / "train2017" / name, folder / Path(name).with_suffix(".png")
    for file in (picture, png):
        file.parent.mkdir(parents=True, exist_ok=True)
    old = root / "train2017/000000000001.jpg"
    suffix = Path(name).suffix
    if suffix.lower() in ("", ".jpg", ".jpeg"):
        old.rename(picture)
    else:
        Image.open(old).save(picture, **(dict(lossless=True) if suffix == ".webp" else {}))
    (folder / "000000000001.png").rename(png)
    file = folder.with_suffix(".json")
    data = json.loads(file.read_text())
    data["images"][0]["file_name"] = name
    data["annotations"][0]["file_name"] = png.name
    file.write_text(json.dumps(data))
    return dict(
        type="CocoPanopticDataset",
        data_root=str(root),
        ann_file="annotations/panoptic_train2017.json",
        data_prefix=dict(img="train2017/", seg="annotations/panoptic_train2017/"),
        metainfo=METAINFO,
        pipeline=[dict(type="LoadImageFromFile"), dict(type="LoadCocoPanoptic")],
    )


def problems(dataset: dict) -> list[str]:
    config = Config(dict(default_scope="mmdet", train_dataloader=dict(dataset=dataset)))
    return [str(problem) for data in data_sets(config) for problem in data.check().problems]


@pytest.mark.parametrize("name", NAMES)
def test_suffixes(tmp_path: Path, name: str) -> None:
    dataset = renamed(tmp_path, name)
    assert problems(dataset) == []
    init_default_scope("mmdet")
    loaded = CocoPanopticDataset(**{k: v for k, v in dataset.items() if k != "type"})[0]
    assert loaded["gt_masks"].areas.tolist() == [400]
    assert set(np.unique(loaded["gt_seg_map"])) == {0, 3, 4}

    folder = tmp_path / "annotations/panoptic_train2017"
    metric = METRICS.build(
        dict(type="CocoPanopticQuality", ann_file=f"{folder}.json", seg_prefix=str(folder))
    )
    metric.dataset_meta = METAINFO
    pixels = torch.from_numpy(loaded["gt_seg_map"].astype(np.int64))
    metric.process({}, [dict(img_id=1, pred_panoptic_seg=dict(sem_seg=pixels[None]))])
    assert metric.evaluate(size=1)["coco_panoptic/PQ"] == 100


def test_mmdets_own_loader(tmp_path: Path) -> None:
    """It knows `.jpg` alone; the check says which file it would look for."""
    dataset = renamed(tmp_path, "a.jpeg")
    dataset["pipeline"] = [dict(type="LoadPanopticAnnotations")]
    (found,) = [line for line in problems(dataset) if "no such file" in line]
    assert "panoptic_train2017/a.jpeg: no such file, expected a PNG" in found
