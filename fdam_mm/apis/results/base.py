"""What the results of all tasks have in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fdam_mm.apis.geo import GeoReference
from fdam_mm.apis.picture import Picture
from fdam_mm.files import write_atomically
from fdam_mm.toolkits.optional import require

MAX_DRAWN = 4096  # pixels, the longer side of a drawing
Colour = Sequence[int]


@dataclass(frozen=True, eq=False)
class Result(ABC):
    """The prediction for one picture.

    Attributes:
        picture: What was predicted: its name, and its path or pixels.
        classes: Names, by label.
        palette: RGB colours, by label.
        sample: The toolkit's data sample inside; None where tiles were merged.
    """

    picture: Picture
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    sample: Any

    @property
    def name(self) -> str:
        """The picture's name, which its files get."""
        return self.picture.name

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture in pixels."""
        return self.picture.size

    @property
    def reference(self) -> GeoReference | None:
        """Where on the earth the picture lies, if it says so."""
        return self.picture.reference

    @abstractmethod
    def draw(self) -> np.ndarray:
        """The picture with the prediction on it, (h, w, 3) uint8 RGB; large ones are reduced."""

    @abstractmethod
    def save(self, folder: str | Path) -> Path:
        """Write the prediction into ``folder``, which is made; returns the file.

        A file of the same name is replaced, by a whole one.
        """

    @abstractmethod
    def to_supervision(self) -> Any:
        """As ``supervision.Detections`` (``pip install supervision``)."""

    def save_drawing(self, folder: str | Path) -> Path:
        """Write :meth:`draw` as ``NAME.jpg`` into ``folder``, which is made; returns the file."""
        file = Path(folder) / f"{self.name}.jpg"
        write_atomically(file, cv2.imencode(".jpg", self.draw()[..., ::-1])[1].tobytes())
        return file

    def _canvas(self) -> tuple[np.ndarray, float]:
        """The picture in RGB, at most ``MAX_DRAWN`` large, and the factor from its pixels."""
        pixels, divisor = self.picture.reduced(MAX_DRAWN)
        return np.ascontiguousarray(pixels[..., ::-1]), 1 / divisor


def import_supervision() -> Any:
    """The package supervision.

    Raises:
        MissingPackageError: It is not installed; says how.
    """
    return require("supervision", "to_supervision()")
