"""An exported segmentor in onnxruntime."""

from pathlib import Path

import cv2
import numpy as np

from fdam_mm.apis.results.segmentation import SegmentationResult
from fdam_mm.apis.tiles.segmentation import blend_rows

from .model import Model, read, tiles_of


class Segmentor(Model):
    """Gives the class of every pixel; tiles are blended."""

    def __call__(
        self, picture: str | Path | np.ndarray, tile: int | None = None, overlap: int | None = None
    ) -> SegmentationResult:
        source = read(picture)
        labels = np.zeros(source.size, np.uint8 if len(self.description.classes) <= 256 else "u2")
        if tile is not None:
            grid = tiles_of(source, tile, overlap)
            tiles = (self.logits(pixels) for _, pixels in source.windows(grid.windows()))
            blend_rows(tiles, grid, self._decide, labels)
        elif self.description.stride is None:
            labels[:] = self._run(source.array, "labels")[0]
        else:
            labels[:] = self._decide(self.logits(source.array))
        about = self.description
        return SegmentationResult(source, about.classes, about.palette, None, labels, about.offset)

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 BGR -> (C, h, w)."""
        if self.description.stride is None:
            return self._run(pixels, "logits")[0]
        height, width = pixels.shape[:2]
        logits = self._slid(self._resized(pixels)).transpose(1, 2, 0)
        resized = cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR)
        return resized.reshape(height, width, -1).transpose(2, 0, 1)

    def _slid(self, pixels: np.ndarray) -> np.ndarray:
        """The mean logits of all windows, (C, h, w), as mmseg's ``mode="slide"``."""
        (size,), stride = self._sessions, self.description.stride
        assert size is not None and stride is not None
        total: np.ndarray | None = None
        count = np.zeros(pixels.shape[:2], np.float32)
        for top in _starts(pixels.shape[0], size[0], stride[0]):
            for left in _starts(pixels.shape[1], size[1], stride[1]):
                down, right = slice(top, top + size[0]), slice(left, left + size[1])
                (found,) = self._run(pixels[down, right], "logits")
                if total is None:
                    total = np.zeros((found.shape[0], *count.shape), np.float32)
                total[:, down, right] += found
                count[down, right] += 1
        assert total is not None
        return total / count

    def _resized(self, pixels: np.ndarray) -> np.ndarray:
        """As mmcv resizes."""
        if self.description.scale is None:
            return pixels
        (height, width), scale = pixels.shape[:2], self.description.scale
        size = scale
        if self.description.keep_ratio:
            sides = max(height, width), min(height, width)
            factor = min(max(scale) / sides[0], min(scale) / sides[1])
            size = int(width * factor + 0.5), int(height * factor + 0.5)
        return cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)

    def _decide(self, logits: np.ndarray) -> np.ndarray:
        if self.description.threshold is None:
            return logits.argmax(0)
        return 1 / (1 + np.exp(-logits[0])) > self.description.threshold


def _starts(length: int, side: int, stride: int) -> list[int]:
    """Of the windows along one axis; the last one ends at the border."""
    num = max(length - side + stride - 1, 0) // stride + 1
    return [max(min(i * stride + side, length) - side, 0) for i in range(num)]
