"""An exported detector of rotated boxes in onnxruntime."""

from pathlib import Path

import numpy as np

from fdam_mm.apis.results.oriented import OrientedResult
from fdam_mm.oriented.boxes import OrientedBoxes, join

from .model import Model, read, tiles_of
from .rotated_nms import rotated_nms

_TILES = 0.1  # IoU above which boxes of several tiles are one, as mmrotate's


class Oriented(Model):
    """Finds rotated boxes; suppression is done here, of tiles again over all."""

    def __call__(
        self, picture: str | Path | np.ndarray, tile: int | None = None, overlap: int | None = None
    ) -> OrientedResult:
        source, about = read(picture), self.description
        if tile is None:
            found = self._found(source.array)
        else:
            windows = tiles_of(source, tile, overlap).windows()
            parts = []
            for index, pixels in source.windows(windows):
                part = self._found(pixels)
                moved = part.boxes + np.array([*windows[index, :2], 0, 0, 0])
                parts.append(OrientedBoxes(moved, part.scores, part.labels))
            found = join(parts)
            found = found.select(rotated_nms(found.boxes, found.scores, found.labels, _TILES))
        return OrientedResult(source, about.classes, about.palette, None, found)

    def _found(self, pixels: np.ndarray) -> OrientedBoxes:
        boxes, scores = self._run(pixels, "boxes", "scores")
        rule = self.description.suppression
        assert rule is not None
        proposal, labels = np.nonzero(scores > rule.score_threshold)
        boxes, scores = boxes[proposal], scores[proposal, labels]
        kept = rotated_nms(boxes, scores, labels, rule.iou_threshold)[: rule.max_per_image]
        return OrientedBoxes(boxes, scores, labels).select(kept)
