"""The models of the page: loaded once, and run for one user at a time each."""

import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fdam_mm.apis.results.base import Result
from fdam_mm.errors import UsageError

if TYPE_CHECKING:
    from fdam_mm.analysis.measuring import LayerMeasures


class Served(ABC):
    """A model on the page; several threads may call it.

    Attributes:
        name: In the page's list.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()

    def predict(self, pixels: np.ndarray, tile: int | None) -> Result:
        """The result of a picture (H, W, 3) uint8 BGR, cut into tiles of this side if larger."""
        if tile is not None and max(pixels.shape[:2]) <= tile:
            tile = None
        with self._lock:
            return self._predict(pixels, tile)

    def measure(self, pixels: np.ndarray) -> "list[LayerMeasures]":
        """What its layers do to the frequencies of a picture (H, W, 3) uint8 BGR.

        Raises:
            UsageError: It has no layers that can be told.
        """
        with self._lock:
            return self._measure(pixels)

    @abstractmethod
    def _predict(self, pixels: np.ndarray, tile: int | None) -> Result: ...

    @abstractmethod
    def _measure(self, pixels: np.ndarray) -> "list[LayerMeasures]": ...


class Trained(Served):
    """A model of the toolkits, see :func:`fdam_mm.apis.load_model`."""

    def __init__(
        self, name: str, source: str, checkpoint: str | None = None, device: str | None = None
    ) -> None:
        from fdam_mm.apis import load_model
        from fdam_mm.apis.predictor import reads_bands

        super().__init__(name)
        self._model = load_model(source, checkpoint, device)
        if reads_bands(self._model.cfg):
            raise UsageError(
                f"{source} takes all bands of a file, and a browser sends colours; expected a "
                "model of pictures: use fdam predict"
            )

    def _predict(self, pixels: np.ndarray, tile: int | None) -> Result:
        from fdam_mm.apis import predict

        return next(predict(self._model, pixels, tile=tile, progress=False))

    def _measure(self, pixels: np.ndarray) -> "list[LayerMeasures]":
        from fdam_mm.analysis.measuring import measure

        backbone = getattr(self._model, "backbone", self._model)
        return measure(backbone, [pixels], lambda picture: self._predict(picture, None))


class Exported(Served):
    """A model that ``fdam export`` wrote, in onnxruntime."""

    def __init__(self, name: str, file: Path) -> None:
        from fdam_mm.runtime import load

        super().__init__(name)
        self._model = load(file)

    def _predict(self, pixels: np.ndarray, tile: int | None) -> Result:
        return self._model(pixels, tile)

    def _measure(self, pixels: np.ndarray) -> "list[LayerMeasures]":
        raise UsageError("an exported model shows no layers; open the work folder that it is from")
