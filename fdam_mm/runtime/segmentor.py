"""An exported segmentor in onnxruntime."""

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fdam_mm.apis.picture import PixelPicture
from fdam_mm.apis.results.segmentation import SegmentationResult
from fdam_mm.apis.tiles.grid import TileGrid
from fdam_mm.apis.tiles.segmentation import blend_rows
from fdam_mm.errors import ExportError, MissingFileError, PictureError

from .description import Description, Size


def load(path: str | Path, providers: tuple[str, ...] = ("CPUExecutionProvider",)) -> "Segmentor":
    """A model that ``fdam export`` wrote.

    Args:
        path: Its JSON, or its ONNX file with the JSON beside it.
        providers: Of onnxruntime, in the order of preference.

    Raises:
        MissingFileError: A file is not there.
        ExportError: It is no such model, or one without processing.
    """
    file = Path(path).with_suffix(".json")
    description = Description.read(file)
    if not description.processing:
        raise ExportError(f"{file} was exported with --raw; expected one that takes pictures")
    return Segmentor(description, file.parent, providers)


class Segmentor:
    """Predicts pictures; several threads may share one."""

    def __init__(self, description: Description, folder: Path, providers: tuple[str, ...]) -> None:
        import onnxruntime  # the extra [runtime]

        self.description = description
        self._sessions: dict[Size | None, Any] = {}
        for graph in description.graphs:
            file = folder / graph.file
            if not file.is_file():
                raise MissingFileError(f"{file} does not exist; expected it beside the JSON")
            content = file.read_bytes()
            if hashlib.sha256(content).hexdigest() != graph.sha256:
                raise ExportError(f"{file} is not the graph that its JSON was written for")
            self._sessions[graph.size] = onnxruntime.InferenceSession(content, providers=providers)

    def __call__(
        self, picture: str | Path | np.ndarray, tile: int | None = None, overlap: int | None = None
    ) -> SegmentationResult:
        """Predict one picture.

        Args:
            picture: A file, or (H, W, 3) uint8 BGR.
            tile: Side in pixels of the tiles that a larger picture is cut into.
            overlap: Pixels that neighbouring tiles share at least; None takes a quarter.

        Raises:
            PictureError: It cannot be read.
            UsageError: ``tile`` or ``overlap`` is out of range.
        """
        source = _read(picture)
        labels = np.zeros(source.size, np.uint8 if len(self.description.classes) <= 256 else "u2")
        if tile is not None:
            quarter = tile // 4 if overlap is None else overlap
            grid = TileGrid.over(source.size, tile, quarter)
            tiles = (self.logits(pixels) for _, pixels in source.windows(grid.windows()))
            blend_rows(tiles, grid, self._decide, labels)
        elif self.description.stride is None:
            labels[:] = self._run(source.array, "labels")
        else:
            labels[:] = self._decide(self.logits(source.array))
        about = self.description
        return SegmentationResult(source, about.classes, about.palette, None, labels, about.offset)

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 BGR -> (C, h, w)."""
        if self.description.stride is None:
            return self._run(pixels, "logits")
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
                found = self._run(pixels[down, right], "logits")
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

    def _run(self, pixels: np.ndarray, output: str) -> np.ndarray:
        session = self._sessions[self._nearest(pixels.shape[:2])]
        return session.run([output], {"image": np.ascontiguousarray(pixels)[None]})[0][0]

    def _nearest(self, size: tuple[int, ...]) -> Size | None:
        """Of the sizes of the graphs, the one that the picture fills most."""

        def filled(graph: Size | None) -> float:
            if graph is None:
                return 1.0
            factor = min(graph[0] / size[0], graph[1] / size[1])
            return factor**2 * size[0] * size[1] / (graph[0] * graph[1])

        return max(self._sessions, key=filled)

    def _decide(self, logits: np.ndarray) -> np.ndarray:
        if self.description.threshold is None:
            return logits.argmax(0)
        return 1 / (1 + np.exp(-logits[0])) > self.description.threshold


def _starts(length: int, side: int, stride: int) -> list[int]:
    """Of the windows along one axis; the last one ends at the border."""
    num = max(length - side + stride - 1, 0) // stride + 1
    return [max(min(i * stride + side, length) - side, 0) for i in range(num)]


def _read(picture: str | Path | np.ndarray) -> PixelPicture:
    if isinstance(picture, np.ndarray):
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise PictureError(
                f"an array of {picture.dtype} and shape {picture.shape}, expected uint8 and "
                "(H, W, 3) in BGR"
            )
        return PixelPicture("picture", None, picture)
    path = Path(picture)
    if not path.is_file():
        raise MissingFileError(f"picture {path} does not exist")
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise PictureError(f"{path} cannot be read as a picture")
    return PixelPicture(path.stem, path, pixels)
