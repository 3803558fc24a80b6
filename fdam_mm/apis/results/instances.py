"""Instances: boxes, and masks where the model gives them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from fdam_mm.apis.geo import features
from fdam_mm.files import write_atomically
from fdam_mm.visualization.overlay import blend_masks, draw_boxes

from .base import Result, import_supervision

Rle = dict[str, Any]
"""COCO's compressed run lengths: ``size`` (height, width) and ``counts`` (bytes)."""


@dataclass(frozen=True, eq=False)
class InstanceResult(Result):
    """Objects, best first.

    Attributes:
        boxes: (N, 4) float32: left, top, right, bottom in pixels.
        scores: (N,) float32.
        labels: (N,) ints, indices into ``classes``.
        rles: N masks as COCO's run lengths; None for a model without masks.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    rles: list[Rle] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def above(self, score: float) -> "InstanceResult":
        """The objects with at least this score."""
        kept = np.flatnonzero(self.scores >= score)
        rles = None if self.rles is None else [self.rles[i] for i in kept]
        return InstanceResult(
            self.picture, self.classes, self.palette, self.sample,
            self.boxes[kept], self.scores[kept], self.labels[kept], rles,
        )  # fmt: skip

    @property
    def masks(self) -> np.ndarray | None:
        """(N, H, W) bool, decoded; None for a model without masks."""
        if self.rles is None:
            return None
        masks = [coco_mask.decode(rle).astype(bool) for rle in self.rles]
        return np.stack(masks) if masks else np.zeros((0, *self.size), bool)

    def draw(self, score: float = 0.3) -> np.ndarray:
        """With the objects of at least ``score``."""
        shown = self.above(score)
        canvas, factor = self._canvas()
        height, width = canvas.shape[:2]
        if shown.rles is not None:
            masks = (
                cv2.resize(coco_mask.decode(rle), (width, height), interpolation=cv2.INTER_NEAREST)
                for rle in shown.rles
            )
            canvas = blend_masks(canvas, masks, shown.labels, self.palette)
        return draw_boxes(
            canvas, shown.boxes * factor, shown.labels, shown.scores, self.classes, self.palette
        )

    def save(self, folder: str | Path) -> Path:
        """Write ``NAME.json``, a COCO data set of this picture whose annotations have a score.

        The objects of a GeoTIFF go to ``NAME.geojson``, as polygons in map coordinates.
        """
        if self.reference is not None:
            file = Path(folder) / f"{self.name}.geojson"
            content = features(self._polygons(), self.reference)
        else:
            file, content = Path(folder) / f"{self.name}.json", self.to_coco()
        write_atomically(file, json.dumps(content))
        return file

    def to_coco(self) -> dict[str, Any]:
        """COCO's ``images``, ``annotations`` and ``categories``, numbered from 1."""
        height, width = self.size
        file_name = self.picture.path.name if self.picture.path else self.name
        annotations = []
        for index in range(len(self)):
            left, top, right, bottom = self.boxes[index].tolist()
            entry = dict(
                id=index + 1, image_id=1, category_id=int(self.labels[index]) + 1, iscrowd=0,
                bbox=[left, top, right - left, bottom - top],
                area=(right - left) * (bottom - top), score=float(self.scores[index]),
            )  # fmt: skip
            if self.rles is not None:
                rle = self.rles[index]
                entry["segmentation"] = {**rle, "counts": rle["counts"].decode()}
                entry["area"] = float(coco_mask.area(rle))
            annotations.append(entry)
        return dict(
            images=[dict(id=1, file_name=file_name, height=height, width=width)],
            annotations=annotations,
            categories=[dict(id=i + 1, name=name) for i, name in enumerate(self.classes)],
        )

    def to_supervision(self) -> Any:
        supervision = import_supervision()
        return supervision.Detections(
            xyxy=self.boxes, confidence=self.scores, class_id=self.labels.astype(int),
            mask=self.masks,
            data={"class_name": np.array([self.classes[label] for label in self.labels], str)},
        )  # fmt: skip

    def _polygons(self) -> Iterator[tuple[list[np.ndarray], dict[str, Any]]]:
        for index in range(len(self)):
            label = int(self.labels[index])
            properties = {"class": self.classes[label], "score": float(self.scores[index])}
            for ring in self._rings(index):
                yield [ring], properties

    def _rings(self, index: int) -> list[np.ndarray]:
        """Outlines (N, 2) of an object: of the parts of its mask, or of its box."""
        left, top, right, bottom = self.boxes[index].tolist()
        box = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        if self.rles is None:
            return [box]
        mask = coco_mask.decode(self.rles[index])
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        rings = [outline[:, 0].astype(np.float64) for outline in outlines if len(outline) > 2]
        return rings or [box]
