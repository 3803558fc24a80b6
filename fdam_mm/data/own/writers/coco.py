"""COCO instances: ``annotations/instances_SPLIT.json`` beside ``images/SPLIT``."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from fdam_mm.data.own.labelled import LabelledObject, Labels, Rle
from fdam_mm.data.own.shapes import area_of

from .base import Placed, Writer, objects_of, write_once


class CocoJsonWriter(Writer):
    """Images, annotations and categories in a JSON of each split; subclasses add to them."""

    NAME = "coco"
    STEM: str  # of the files' names

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._images: dict[str | None, list[dict]] = defaultdict(list)
        self._annotations: dict[str | None, list[dict]] = defaultdict(list)
        self._ids = category_ids(self.classes)
        self._about: dict[str, Any] = {}

    def take_in(self, attributes: Mapping[str, Any]) -> None:
        self._about = dict(attributes)

    def note_left_out(self, placed: Placed) -> None:
        """Nothing is."""

    def finish(self) -> None:
        categories = [
            self.category(info, number)
            for info, number in zip(self.classes, self._ids, strict=True)
        ]
        for split, images in self._images.items():
            data = {**self._about, "images": images, "categories": categories}
            data["annotations"] = self._annotations[split]
            write_once(self.folder / "annotations" / f"{self.stem(split)}.json", json.dumps(data))

    def stem(self, split: str | None) -> str:
        """The name of a split's file, without its ending."""
        return f"{self.STEM}_{split}" if split else self.STEM

    def category(self, info: Any, number: int) -> dict[str, Any]:
        """A class as an entry of ``categories``."""
        entry: dict[str, Any] = dict(id=number, name=info.name)
        if info.colour is not None:
            entry["color"] = list(info.colour)
        if info.group is not None:
            entry["supercategory"] = info.group
        return entry


class CocoWriter(CocoJsonWriter):
    """Boxes, polygons, run lengths and crowds; rotated boxes as polygons of their corners."""

    TASKS = ("instance", "detection", "oriented")
    STEM = "instances"

    def add(self, placed: Placed, labels: Labels) -> None:
        images, annotations = self._images[placed.split], self._annotations[placed.split]
        images.append(image_entry(placed, len(images) + 1))
        for found in objects_of(labels):
            entry = self._entry(found, placed.size)
            annotations.append({"id": len(annotations) + 1, "image_id": len(images), **entry})
            if self.task == "oriented":
                self.notes["rotated boxes as polygons of their corners"] += 1

    def _entry(self, found: LabelledObject, size: tuple[int, int]) -> dict[str, Any]:
        left, top, right, bottom = found.box
        entry: dict[str, Any] = {
            k: v for k, v in found.attributes.items() if k not in ("id", "image_id")
        }
        entry.setdefault("area", area_of(found, size))
        entry |= dict(
            category_id=self._ids[found.label], bbox=[left, top, right - left, bottom - top],
            iscrowd=int(found.crowd),
        )  # fmt: skip
        if found.difficult:
            entry["difficult"] = found.difficult
        polygons = found.polygons or ((found.corners,) if found.corners is not None else ())
        if found.rle is not None:
            entry["segmentation"] = compressed(found.rle)
        elif polygons:
            entry["segmentation"] = [polygon.ravel().tolist() for polygon in polygons]
        return entry


def category_ids(classes: Any) -> list[int]:
    """The classes' own numbers where all have one of their own, else 1, 2, ..."""
    own = [info.value for info in classes]
    good = all(isinstance(value, int) and value > 0 for value in own)
    return own if good and len(set(own)) == len(own) else list(range(1, len(own) + 1))


def image_entry(placed: Placed, number: int) -> dict[str, Any]:
    """A picture as an entry of ``images``; its name is relative to ``images/SPLIT``."""
    height, width = placed.size
    own = dict(id=number, file_name=placed.name + placed.suffix, height=height, width=width)
    return {**placed.attributes, **own}


def compressed(rle: Rle) -> Rle:
    """Run lengths with their counts as a text."""
    from pycocotools import mask as coco_mask

    height, width = rle["size"]
    counts = rle["counts"]
    if isinstance(counts, list):
        counts = coco_mask.frPyObjects(dict(size=[height, width], counts=counts), height, width)[
            "counts"
        ]
    return dict(
        size=[height, width], counts=counts.decode() if isinstance(counts, bytes) else counts
    )
