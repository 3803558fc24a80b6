"""The demo set in COCO's layout: instances and panoptic segments, for mmdet."""

import itertools
import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as rle

from fdam_mm.data.demo.layout import DemoLayout, write_photo, write_picture
from fdam_mm.data.demo.scenes import CLASSES, NUM_TEXTURES, WIRE, Scene
from fdam_mm.data.demo.scenes import PALETTE as TEXTURE_PALETTE

THINGS: tuple[str, ...] = CLASSES[:NUM_TEXTURES]  # the objects
STUFF: tuple[str, ...] = (*(f"{name}_ground" for name in THINGS), CLASSES[WIRE])
PALETTE: list[tuple[int, ...]] = [
    *(tuple(colour) for colour in TEXTURE_PALETTE[:NUM_TEXTURES]),
    *(tuple(value // 2 for value in colour) for colour in TEXTURE_PALETTE[:NUM_TEXTURES]),
    tuple(TEXTURE_PALETTE[WIRE]),
]  # a ground is a darker shade of its texture
_NAMES = {"training": "train2017", "validation": "val2017"}


class Segment(NamedTuple):
    """A segment of the panoptic picture; `label` is an index into the layout's classes."""

    label: int
    mask: np.ndarray  # (H, W) bool


class COCOLayout(DemoLayout):
    """`{train,val}2017/000000000001.jpg` with instance and panoptic annotations.

    `annotations/instances_{train,val}2017.json` has the objects, masks as RLE.
    `annotations/panoptic_{train,val}2017.json`, with the pictures of segment ids (R + 256 G +
    256^2 B) in the folder of the same name, has these and stuff: the regions of the background,
    one segment for each class, and all wires as one segment. No pixel is unlabelled.
    """

    classes = THINGS + STUFF

    def files(self, split: str, count: int) -> list[PurePosixPath]:
        name = _NAMES[split]
        tables = [f"annotations/{kind}_{name}.json" for kind in ("instances", "panoptic")]
        pictures = [
            file
            for number in range(1, count + 1)
            for file in (
                f"{name}/{number:012d}.jpg",
                f"annotations/panoptic_{name}/{number:012d}.png",
            )
        ]
        return [PurePosixPath(file) for file in (*tables, *pictures)]

    def write_split(self, root: Path, split: str, scenes: Iterable[Scene]) -> None:
        name = _NAMES[split]
        photos, panoptic_dir = root / name, root / "annotations" / f"panoptic_{name}"
        photos.mkdir()
        panoptic_dir.mkdir(parents=True)
        images, instances, panoptic = [], [], []
        instance_ids = itertools.count(1)
        for number, scene in enumerate(scenes, start=1):
            segments = segments_of(scene)
            photo, picture = f"{number:012d}.jpg", f"{number:012d}.png"
            write_photo(photos / photo, scene.image)
            write_picture(panoptic_dir / picture, _id_picture(segments))
            height, width = scene.background.shape
            images.append(dict(id=number, file_name=photo, height=height, width=width))
            things = [segment for segment in segments if segment.label < len(THINGS)]
            instances += [
                dict(id=next(instance_ids), image_id=number, **_instance(s)) for s in things
            ]
            infos = [dict(id=index, **_segment(s)) for index, s in enumerate(segments, start=1)]
            panoptic.append(dict(image_id=number, file_name=picture, segments_info=infos))
        for kind, annotations in (("instances", instances), ("panoptic", panoptic)):
            categories = _categories(with_stuff=kind == "panoptic")
            table = dict(images=images, annotations=annotations, categories=categories)
            file = root / "annotations" / f"{kind}_{name}.json"
            file.write_text(json.dumps(table) + "\n", encoding="utf-8")


def segments_of(scene: Scene) -> list[Segment]:
    """Return the objects, the regions of the background and the wires, none of them empty.

    Their masks cover the picture without overlap.
    """
    wires = np.zeros(scene.background.shape, bool)
    ground = np.ones_like(wires)
    segments: list[Segment] = []
    for item in scene.objects:
        ground &= ~item.mask
        if item.class_id == WIRE:
            wires |= item.mask
        else:
            segments.append(Segment(item.class_id, item.mask))
    for class_id in range(NUM_TEXTURES):
        region = ground & (scene.background == class_id)
        segments.append(Segment(len(THINGS) + class_id, region))
    segments.append(Segment(len(THINGS) + NUM_TEXTURES, wires))
    return [segment for segment in segments if segment.mask.any()]


def _id_picture(segments: list[Segment]) -> np.ndarray:
    """Return (H, W, 3) uint8, BGR: the first segment has id 1, and R + 256 G + 256^2 B is the id.

    A scene has far fewer than 256 segments, so R is enough.
    """
    ids = np.zeros((*segments[0].mask.shape, 3), np.uint8)
    for index, segment in enumerate(segments, start=1):
        ids[segment.mask, 2] = index
    return ids


def _segment(segment: Segment) -> dict[str, Any]:
    """Return what both kinds of annotations hold."""
    columns, rows = (np.flatnonzero(segment.mask.any(axis)) for axis in (0, 1))
    x, y = int(columns[0]), int(rows[0])
    return dict(
        category_id=segment.label + 1,
        area=int(segment.mask.sum()),
        bbox=[x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y],
        iscrowd=0,
    )


def _instance(segment: Segment) -> dict[str, Any]:
    encoded = rle.encode(np.asfortranarray(segment.mask.astype(np.uint8)))
    mask = dict(size=encoded["size"], counts=encoded["counts"].decode("ascii"))
    return dict(**_segment(segment), segmentation=mask)


def _categories(with_stuff: bool) -> list[dict[str, Any]]:
    """Return COCO's entries, which start from id 1."""
    entries = []
    for index, name in enumerate(THINGS + STUFF):
        is_thing = index < len(THINGS)
        group = "object" if is_thing else "background"
        entry = dict(id=index + 1, name=name, supercategory=group)
        if with_stuff:
            entry.update(isthing=int(is_thing), color=PALETTE[index])
        if is_thing or with_stuff:
            entries.append(entry)
    return entries
