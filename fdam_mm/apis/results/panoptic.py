"""Panoptic segmentation: every pixel belongs to one segment."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fdam_mm.files import write_atomically
from fdam_mm.visualization.overlay import blend_labels, draw_outlines, with_legend

from .base import Result, import_supervision


@dataclass(frozen=True)
class Segment:
    """One segment of a picture."""

    id: int  # its number in the map
    label: int  # index into the classes
    is_thing: bool
    score: float | None = None


@dataclass(frozen=True, eq=False)
class PanopticResult(Result):
    """Segments of all pixels.

    Attributes:
        ids: (H, W) int32, numbers of segments; 0 has no segment.
        segments: What each number is.
        things: Labels of the classes that have single objects; None is all.
    """

    ids: np.ndarray
    segments: tuple[Segment, ...]
    things: frozenset[int] | None = None

    @property
    def labels(self) -> np.ndarray:
        """(H, W) int32, indices into ``classes``; -1 has no segment."""
        table = np.full(max((s.id for s in self.segments), default=0) + 1, -1, np.int32)
        for segment in self.segments:
            table[segment.id] = segment.label
        return table[self.ids]

    def is_thing(self, label: int) -> bool:
        """Whether a class has single objects, be there one in the picture or not."""
        return self.things is None or label in self.things

    def draw(self) -> np.ndarray:
        canvas, _ = self._canvas()
        size = canvas.shape[1::-1]
        ids = cv2.resize(self.ids, size, interpolation=cv2.INTER_NEAREST)
        labels = cv2.resize(self.labels, size, interpolation=cv2.INTER_NEAREST)
        drawn = draw_outlines(blend_labels(canvas, labels, self.palette), ids)
        return with_legend(drawn, self.classes, self.palette, np.unique(labels[labels >= 0]))

    def save(self, folder: str | Path) -> Path:
        """Write COCO's panoptic ``NAME.png`` (ids in RGB) and ``NAME.json``; returns the JSON."""
        red, green, blue = self.ids % 256, self.ids // 256 % 256, self.ids // 65536
        pixels = np.stack([blue, green, red], axis=-1).astype(np.uint8)  # BGR for cv2
        png = Path(folder) / f"{self.name}.png"
        write_atomically(png, cv2.imencode(".png", pixels)[1].tobytes())
        write_atomically(png.with_suffix(".json"), json.dumps(self.to_coco()))
        return png.with_suffix(".json")

    def to_coco(self) -> dict[str, Any]:
        """COCO's panoptic ``images``, ``annotations`` and ``categories``, numbered from 1."""
        height, width = self.size
        file_name = self.picture.path.name if self.picture.path else self.name
        areas = dict(zip(*np.unique(self.ids, return_counts=True), strict=True))
        info = [
            dict(
                id=segment.id, category_id=segment.label + 1, iscrowd=0,
                area=int(areas.get(segment.id, 0)),
            )
            for segment in self.segments
        ]  # fmt: skip
        return dict(
            images=[dict(id=1, file_name=file_name, height=height, width=width)],
            annotations=[dict(image_id=1, file_name=f"{self.name}.png", segments_info=info)],
            categories=[
                dict(id=i + 1, name=name, isthing=int(self.is_thing(i)))
                for i, name in enumerate(self.classes)
            ],
        )

    def to_supervision(self) -> Any:
        supervision = import_supervision()
        numbers = np.array([segment.id for segment in self.segments], self.ids.dtype)
        masks = self.ids[None] == numbers[:, None, None]
        return supervision.Detections(
            xyxy=supervision.mask_to_xyxy(masks), mask=masks,
            class_id=np.array([segment.label for segment in self.segments], int),
            data={"class_name": np.array([self.classes[s.label] for s in self.segments], str)},
        )  # fmt: skip
