"""Oriented detection: rotated boxes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fdam_mm.apis.geo import features
from fdam_mm.files import write_atomically
from fdam_mm.oriented.boxes import OrientedBoxes
from fdam_mm.visualization.overlay import with_legend
from fdam_mm.visualization.rotated_boxes import draw_rotated_boxes

from .base import Result, import_supervision


@dataclass(frozen=True, eq=False)
class OrientedResult(Result):
    """Rotated boxes, best first.

    Attributes:
        objects: Boxes (N, 5), scores and labels, see :class:`OrientedBoxes`.
    """

    objects: OrientedBoxes

    def __len__(self) -> int:
        return len(self.objects)

    def above(self, score: float) -> "OrientedResult":
        """The boxes with at least this score."""
        kept = self.objects.select(np.flatnonzero(self.objects.scores >= score))
        return OrientedResult(self.picture, self.classes, self.palette, self.sample, kept)

    def draw(self, score: float = 0.3) -> np.ndarray:
        """With the boxes of at least ``score``."""
        shown = self.above(score).objects
        canvas, factor = self._canvas()
        drawn = draw_rotated_boxes(canvas, shown.corners() * factor, shown.labels, self.palette)
        return with_legend(drawn, self.classes, self.palette, np.unique(shown.labels))

    def save(self, folder: str | Path) -> Path:
        """Write ``NAME.txt``: DOTA's 8 coordinates and class, then the score; best first.

        The boxes of a GeoTIFF go to ``NAME.geojson``, as polygons in map coordinates.
        """
        if self.reference is None:
            file, content = Path(folder) / f"{self.name}.txt", self.to_dota()
        else:
            file = Path(folder) / f"{self.name}.geojson"
            polygons = (
                ([corners], {"class": self.classes[label], "score": float(score)})
                for corners, label, score in self._rows()
            )
            content = json.dumps(features(polygons, self.reference))
        write_atomically(file, content)
        return file

    def to_dota(self) -> str:
        """A line per box: x1 y1 x2 y2 x3 y3 x4 y4 class score."""
        return "".join(
            f"{' '.join(f'{value:.2f}' for value in corners.ravel())} "
            f"{self.classes[label]} {score:.5f}\n"
            for corners, label, score in self._rows()
        )

    def to_supervision(self) -> Any:
        """Upright boxes, with the corners where supervision looks for rotated ones."""
        supervision = import_supervision()
        corners, labels = self.objects.corners(), self.objects.labels
        return supervision.Detections(
            xyxy=np.concatenate([corners.min(1), corners.max(1)], axis=1),
            confidence=self.objects.scores, class_id=labels.astype(int),
            data={
                supervision.config.ORIENTED_BOX_COORDINATES: corners,
                "class_name": np.array([self.classes[label] for label in labels], str),
            },
        )  # fmt: skip

    def _rows(self) -> Any:
        return zip(self.objects.corners(), self.objects.labels, self.objects.scores, strict=True)
