"""Semantic segmentation: a label for every pixel."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fdam_mm.apis.geo import write_labels
from fdam_mm.files import write_atomically
from fdam_mm.visualization.overlay import blend_labels, with_legend

from .base import Result, import_supervision


@dataclass(frozen=True, eq=False)
class SegmentationResult(Result):
    """Labels of all pixels.

    Attributes:
        labels: (H, W) uint8 or uint16, indices into ``classes``.
        offset: Added to the labels in files: 1 for data whose annotations keep 0 for "no label"
            (``reduce_zero_label``), so that files read like annotations; else 0.
    """

    labels: np.ndarray
    offset: int = 0

    def draw(self) -> np.ndarray:
        canvas, factor = self._canvas()
        height, width = canvas.shape[:2]
        labels = self.labels
        if labels.shape != (height, width):
            labels = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
        shown = np.unique(labels)
        drawn = blend_labels(canvas, labels, self.palette)
        return with_legend(drawn, self.classes, self.palette, shown)

    def save(self, folder: str | Path) -> Path:
        """Write the labels as ``NAME.png``, of one channel; a GeoTIFF's as ``NAME.tif``."""
        if self.reference is not None:
            file = Path(folder) / f"{self.name}.tif"
            unlabelled = [(0, 0, 0)] * self.offset
            write_labels(file, self._in_files(), self.reference, [*unlabelled, *self.palette])
            return file
        file = Path(folder) / f"{self.name}.png"
        write_atomically(file, cv2.imencode(".png", self._in_files())[1].tobytes())
        return file

    def to_supervision(self) -> Any:
        """A detection with a mask for every class that is there."""
        present = np.unique(self.labels)
        masks = np.stack([self.labels == label for label in present])
        supervision = import_supervision()
        return supervision.Detections(
            xyxy=supervision.mask_to_xyxy(masks), mask=masks, class_id=present.astype(int),
            data={"class_name": np.array([self.classes[label] for label in present])},
        )  # fmt: skip

    def _in_files(self) -> np.ndarray:
        """uint8 where all labels fit, else uint16."""
        kind = "uint8" if len(self.classes) + self.offset <= 256 else "uint16"
        if not self.offset and self.labels.dtype == kind:
            return self.labels
        return self.labels.astype(kind) + np.array(self.offset, kind)
