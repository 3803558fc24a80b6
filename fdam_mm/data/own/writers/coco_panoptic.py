"""COCO panoptic: ``annotations/panoptic_SPLIT.json``, PNGs in a folder of that name."""

from typing import Any

import cv2
import numpy as np

from fdam_mm.data.own.labelled import Labels, PanopticLabels

from .base import Placed, write_once
from .coco import CocoJsonWriter, image_entry


class PanopticWriter(CocoJsonWriter):
    """Segments of all pixels, with the numbers that they have."""

    TASKS = ("panoptic",)
    STEM = "panoptic"

    def add(self, placed: Placed, labels: Labels) -> None:
        assert isinstance(labels, PanopticLabels)
        images = self._images[placed.split]
        images.append(image_entry(placed, len(images) + 1))
        file = self.folder / "annotations" / self.stem(placed.split) / f"{placed.name}.png"
        red, green, blue = labels.ids % 256, labels.ids // 256 % 256, labels.ids // 65536
        pixels = np.stack([blue, green, red], axis=-1).astype(np.uint8)  # BGR for cv2
        write_once(file, cv2.imencode(".png", pixels)[1].tobytes())
        infos = []
        for segment in labels.segments:
            box, area = _extent(labels.ids == segment.id)
            infos.append(
                dict(
                    id=segment.id, category_id=self._ids[segment.label], bbox=box, area=area,
                    iscrowd=int(segment.crowd),
                )
            )  # fmt: skip
        self._annotations[placed.split].append(
            dict(image_id=len(images), file_name=f"{placed.name}.png", segments_info=infos)
        )

    def category(self, info: Any, number: int) -> dict[str, Any]:
        return {**super().category(info, number), "isthing": int(info.is_thing)}


def _extent(mask: np.ndarray) -> tuple[list[int], int]:
    """x, y, width, height and the number of pixels of a mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return [0, 0, 0, 0], 0
    top, left = int(rows[0]), int(columns[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top], int(mask.sum())
