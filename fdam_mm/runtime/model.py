"""An exported model in onnxruntime: its graphs, and which of them a picture takes."""

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fdam_mm.apis.picture import PixelPicture
from fdam_mm.apis.results.base import Result
from fdam_mm.apis.tiles.grid import TileGrid
from fdam_mm.errors import ExportError, MissingFileError, PictureError

from .description import Description, Size


class Model(ABC):
    """Predicts pictures; several threads may share one.

    Args:
        description: Its JSON.
        folder: Where its graphs lie.
        providers: Of onnxruntime.

    Raises:
        MissingFileError: A graph is not there.
        ExportError: A graph is another than the description's.
    """

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

    @abstractmethod
    def __call__(
        self, picture: str | Path | np.ndarray, tile: int | None = None, overlap: int | None = None
    ) -> Result:
        """Predict one picture.

        Args:
            picture: A file, or (H, W, 3) uint8 BGR.
            tile: Side in pixels of the tiles that a larger picture is cut into.
            overlap: Pixels that neighbouring tiles share at least; None takes a quarter.

        Raises:
            PictureError: It cannot be read.
            UsageError: ``tile`` or ``overlap`` is out of range.
        """

    def _run(self, pixels: np.ndarray, *outputs: str) -> list[np.ndarray]:
        session = self._sessions[self._nearest(pixels.shape[:2])]
        image = np.ascontiguousarray(pixels)[None]
        return [found[0] for found in session.run(list(outputs), {"image": image})]

    def _nearest(self, size: tuple[int, ...]) -> Size | None:
        """Of the sizes of the graphs, the one that the picture fills most."""

        def filled(graph: Size | None) -> float:
            if graph is None:
                return 1.0
            factor = min(graph[0] / size[0], graph[1] / size[1])
            return factor**2 * size[0] * size[1] / (graph[0] * graph[1])

        return max(self._sessions, key=filled)


def tiles_of(picture: PixelPicture, tile: int, overlap: int | None) -> TileGrid:
    """Tiles as :class:`Model` takes them."""
    return TileGrid.over(picture.size, tile, tile // 4 if overlap is None else overlap)


def read(picture: str | Path | np.ndarray) -> PixelPicture:
    """A file, or pixels."""
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
