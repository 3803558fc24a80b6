"""An exported Mask DINO in onnxruntime."""

from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from fdam_mm.apis.results.instances import InstanceResult
from fdam_mm.apis.tiles.instances import Found, merge

from .model import Model, read, tiles_of


class Instances(Model):
    """Finds objects with masks; what several tiles saw of one is one."""

    def __call__(
        self, picture: str | Path | np.ndarray, tile: int | None = None, overlap: int | None = None
    ) -> InstanceResult:
        source, about = read(picture), self.description
        if tile is None:
            found = self._found(source.array, source.size, (0, 0), 0)
        else:
            windows = tiles_of(source, tile, overlap).windows()
            parts = [
                self._found(pixels, source.size, tuple(windows[index, :2].tolist()), index)
                for index, pixels in source.windows(windows)
            ]
            found = merge(_joined(parts), windows)
        order = np.argsort(-found.scores, kind="stable")
        assert found.rles is not None
        rles = [found.rles[i] for i in order]
        return InstanceResult(
            source, about.classes, about.palette, None,
            found.boxes[order], found.scores[order], found.labels[order], rles,
        )  # fmt: skip

    def _found(
        self, pixels: np.ndarray, size: tuple[int, int], corner: tuple[int, int], tile: int
    ) -> Found:
        """Objects of a tile at ``corner`` (left, top), in the pixels of a picture of ``size``."""
        boxes, scores, labels, masks = self._run(pixels, "boxes", "scores", "labels", "masks")
        kept = np.flatnonzero(labels >= 0)
        rles = []
        for mask in masks[kept]:
            whole = np.zeros(size, np.uint8, order="F")
            down, right = (slice(c, c + s) for c, s in zip(corner[::-1], mask.shape, strict=True))
            whole[down, right] = mask
            rles.append(coco_mask.encode(whole))
        moved = boxes[kept] + np.tile(np.array(corner, np.float32), 2)
        return Found(moved, scores[kept], labels[kept], np.full(len(kept), tile), rles)


def _joined(parts: list[Found]) -> Found:
    boxes, scores, labels, tiles = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("boxes", "scores", "labels", "tiles")
    )
    return Found(boxes, scores, labels, tiles, [rle for part in parts for rle in part.rles or []])
