"""A picture to predict, and the one whose pixels are in memory; needs neither torch nor Pillow."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .geo import GeoReference


@dataclass(frozen=True, eq=False)
class Picture(ABC):
    """One picture to predict.

    Attributes:
        name: For the files of its result.
        path: The file, None for pixels in memory.
    """

    name: str
    path: Path | None

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""

    @property
    def reference(self) -> GeoReference | None:
        """Where on the earth the picture lies, if it says so."""
        return None

    @abstractmethod
    def source(self) -> dict[str, Any]:
        """What a test pipeline of the toolkits starts from."""

    @abstractmethod
    def windows(self, windows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Index and pixels (h, w, C) of each of (N, 4) left, top, right, bottom, by top edge."""

    @abstractmethod
    def reduced(self, max_side: int) -> tuple[np.ndarray, int]:
        """(h, w, 3) uint8 BGR to draw on, reduced by a whole number, and that number."""


@dataclass(frozen=True, eq=False)
class PixelPicture(Picture):
    """Pixels in memory, (H, W, C), BGR as everywhere in OpenMMLab."""

    array: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        return self.array.shape[0], self.array.shape[1]

    def source(self) -> dict[str, Any]:
        return dict(img=self.array, img_id=self.name)

    def windows(self, windows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        for index in np.argsort(windows[:, 1], kind="stable").tolist():
            left, top, right, bottom = windows[index].tolist()
            yield index, self.array[top:bottom, left:right]

    def reduced(self, max_side: int) -> tuple[np.ndarray, int]:
        return for_drawing(self.array, max_side)


def for_drawing(pixels: np.ndarray, max_side: int) -> tuple[np.ndarray, int]:
    """(h, w, 3) uint8 of any bands and depth; other depths are stretched to their range."""
    factor = -(-max(pixels.shape[:2]) // max_side)
    pixels = pixels[::factor, ::factor]
    pixels = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, axis=2)
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = ((pixels - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
    return np.ascontiguousarray(pixels), factor
