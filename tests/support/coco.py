"""A drawn COCO set in the official layout, with instances and panoptic segments."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image

from fdam_mm.toolkits.registration import register_toolkit

from .tools import ROOT

CATEGORIES = [  # ids have gaps, as COCO's do
    dict(id=2, name="disc", isthing=1),
    dict(id=3, name="box", isthing=1),
    dict(id=7, name="bar", isthing=1),
    dict(id=90, name="sky", isthing=0),
    dict(id=95, name="soil", isthing=0),
]
THINGS = tuple(c["name"] for c in CATEGORIES if c["isthing"])
STUFF = tuple(c["name"] for c in CATEGORIES if not c["isthing"])
METAINFO = dict(classes=THINGS + STUFF, thing_classes=THINGS, stuff_classes=STUFF)
COLOURS = {
    2: (220, 30, 40),
    3: (30, 40, 220),
    7: (40, 200, 60),
    90: (120, 180, 230),
    95: (90, 70, 50),
}


class Thing(NamedTuple):
    """A rectangle."""

    box: tuple[int, int, int, int]  # x, y, width, height
    category: int = 2
    crowd: bool = False


class Picture(NamedTuple):
    """Things, the last one in front, on equal stripes of stuff from left to right."""

    things: Sequence[Thing] = ()
    stuff: Sequence[int] = ()
    size: tuple[int, int] = (64, 96)  # height, width


def write_coco(root: Path, pictures: Sequence[Picture], split: str = "train") -> Path:
    """Write a split: pictures 000000000001.jpg, ..., both JSON files and the panoptic PNGs."""
    name = f"{split}2017"
    for folder in (root / name, root / f"annotations/panoptic_{name}"):
        folder.mkdir(parents=True)
    images, instances, panoptic = [], [], []
    for number, picture in enumerate(pictures, 1):
        height, width = picture.size
        stem = f"{number:012d}"
        images.append(dict(id=number, file_name=f"{stem}.jpg", height=height, width=width))
        ids, segments = _segments(picture)
        colours = {0: (255, 255, 255)} | {s["id"]: COLOURS[s["category_id"]] for s in segments}
        pixels = np.zeros((*picture.size, 3), np.uint8)
        for value, colour in colours.items():
            pixels[ids == value] = colour
        Image.fromarray(pixels).save(root / name / f"{stem}.jpg", quality=95, subsampling=0)
        write_ids(root / f"annotations/panoptic_{name}/{stem}.png", ids)
        panoptic.append(dict(image_id=number, file_name=f"{stem}.png", segments_info=segments))
        instances += [
            _instance(thing, number, len(instances) + index, picture.size)
            for index, thing in enumerate(picture.things, 1)
        ]
    _dump(
        root / f"annotations/instances_{name}.json", images, instances, CATEGORIES[: len(THINGS)]
    )
    _dump(root / f"annotations/panoptic_{name}.json", images, panoptic, CATEGORIES)
    return root


def read_coco_config(kind: str, size: int | None = None) -> Config:
    """The Mask DINO config of a ``kind``, coco or coco-panoptic, whose pipelines shrink to
    ``size`` x ``size``."""
    name = f"mask-dino_r50_4scale_8xb2-lsj-50e_{kind}.py"
    config = Config.fromfile(ROOT / "configs/mask_dino" / name)
    if size:
        for split in ("train", "val"):
            for step in config[f"{split}_dataloader"].dataset.pipeline:
                step.update({k: (size, size) for k in ("scale", "crop_size", "size") if k in step})
    init_default_scope("mmdet")
    register_toolkit("mmdet")
    return config


def build_coco(config: Config, root: Path, split: str, **settings: object) -> BaseDataset:
    """The data set of a config's split on a drawn set."""
    dataset = config[f"{split}_dataloader"].dataset
    metainfo = METAINFO if "panoptic" in dataset.ann_file else dict(classes=THINGS)
    settings = dict(data_root=str(root), metainfo=metainfo) | settings
    return DATASETS.build(dict(dataset) | settings)


def write_ids(file: Path, ids: np.ndarray) -> None:
    """Write segment ids (H, W) as a panoptic PNG."""
    rgb = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1)
    Image.fromarray(rgb.astype(np.uint8)).save(file)


def _segments(picture: Picture) -> tuple[np.ndarray, list[dict]]:
    """The map of ids (H, W), 0 for void, and the segments that show in it."""
    ids = np.zeros(picture.size, np.int64)
    kinds = {}
    stripes = np.array_split(np.arange(picture.size[1]), max(len(picture.stuff), 1))
    for category, columns in zip(picture.stuff, stripes, strict=False):
        kinds[category * 1001] = (category, False)
        ids[:, columns] = category * 1001
    for index, (box, category, crowd) in enumerate(picture.things, 1):
        kinds[index * 70001] = (category, crowd)
        ids[_inside(box, picture.size)] = index * 70001
    segments = []
    for value, (category, crowd) in kinds.items():
        y, x = (ids == value).nonzero()
        if len(y):
            box = [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
            segment = dict(id=value, category_id=category, iscrowd=int(crowd), area=len(y))
            segments.append(segment | dict(bbox=[int(side) for side in box]))
    return ids, segments


def _inside(box: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    x, y, width, height = box
    mask = np.zeros(size, bool)
    mask[y : y + height, x : x + width] = True
    return mask


def _instance(thing: Thing, image_id: int, ann_id: int, size: tuple[int, int]) -> dict:
    x, y, width, height = thing.box
    corners = [x, y, x + width, y, x + width, y + height, x, y + height]
    segmentation: list | dict = [[float(side) for side in corners]]
    if thing.crowd:
        mask = np.asfortranarray(_inside(thing.box, size), dtype=np.uint8)
        starts = np.flatnonzero(np.diff(mask.ravel("F"), prepend=0, append=0))
        counts = np.diff(starts, prepend=0, append=mask.size)
        segmentation = dict(size=list(size), counts=counts.tolist())
    return dict(
        id=ann_id,
        image_id=image_id,
        category_id=thing.category,
        bbox=list(thing.box),
        area=width * height,
        iscrowd=int(thing.crowd),
        segmentation=segmentation,
    )


def _dump(file: Path, images: list, annotations: list, categories: list) -> None:
    data = dict(images=images, annotations=annotations, categories=categories)
    file.write_text(json.dumps(data))
