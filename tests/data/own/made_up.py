"""Small labelled sets, made up: pictures and the labels of each format."""

import json
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH = 48, 64
POLYGON = [8.0, 8.0, 30.0, 8.0, 30.0, 20.0, 8.0, 20.0]
TRIANGLE = [40.0, 10.0, 60.0, 40.0, 35.0, 40.0]


def picture(file: Path, size: tuple[int, int] = (HEIGHT, WIDTH), seed: int = 0) -> Path:
    """Write a picture of noise."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    assert cv2.imwrite(str(file), pixels)
    return file


def coco(root: Path, split: str = "train", count: int = 2) -> Path:
    """COCO with a polygon, a triangle, and a crowd's RLE in each picture."""
    images, annotations = [], []
    for index in range(count):
        name = f"{split}_{index}.jpg"
        picture(root / "images" / split / name, seed=index)
        images.append(dict(id=index, file_name=f"{split}/{name}", height=HEIGHT, width=WIDTH))
        for label, polygon in ((3, POLYGON), (7, TRIANGLE)):
            xs, ys = polygon[::2], polygon[1::2]
            box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
            annotations.append(
                dict(
                    id=len(annotations) + 1, image_id=index, category_id=label, bbox=box,
                    area=box[2] * box[3], iscrowd=0, segmentation=[polygon],
                )
            )  # fmt: skip
        runs = dict(size=[HEIGHT, WIDTH], counts=[0, 96, HEIGHT * WIDTH - 96])
        annotations.append(
            dict(
                id=len(annotations) + 1, image_id=index, category_id=7, bbox=[0, 0, 2, HEIGHT],
                area=96, iscrowd=1, segmentation=runs,
            )
        )  # fmt: skip
    categories = [dict(id=3, name="fig"), dict(id=7, name="nut")]
    data = dict(images=images, annotations=annotations, categories=categories)
    file = root / "annotations" / f"instances_{split}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data))
    return file


def label_map(size: tuple[int, int] = (HEIGHT, WIDTH), values: tuple[int, ...] = (0, 1, 2)):
    """(H, W) uint8: stripes of the values, and a corner of 255."""
    labels = np.array(values, np.uint8)[np.arange(size[0])[:, None] * len(values) // size[0]]
    labels = np.repeat(labels, size[1], axis=1)
    labels[:4, :4] = 255
    return labels


def masks(root: Path, split: str = "train", count: int = 2, suffix: str = ".png") -> None:
    """Label maps of three classes in ``annotations``, pictures in ``images``."""
    for index in range(count):
        picture(root / "images" / split / f"{index}.jpg", seed=index)
        file = root / "annotations" / split / f"{index}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), label_map())
