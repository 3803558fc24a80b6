"""What a layout of the demo set is, and how all of them write pictures."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from fdam_mm.data.demo.aerial import AerialScene
from fdam_mm.data.demo.scenes import MIN_SIDE, Scene, draw_scene

SPLITS = ("training", "validation")
_JPEG_OPTIONS = [
    cv2.IMWRITE_JPEG_QUALITY,
    97,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,  # keeps the colour of one-pixel details
]


class DemoLayout(ABC):
    """Which scenes are drawn and how they become files.

    What a picture's own files hold depends on its scene alone, so that a smaller set is the start
    of a larger one. Layouts that draw the same scenes hold the same pixels.

    Attributes:
        classes: names of the labels, in the order of their indices.
        default_side: pixels, of a picture where nothing is asked for.
        min_side: pixels, of the smallest picture.
    """

    classes: tuple[str, ...]
    default_side: int = 128
    min_side: int = MIN_SIDE

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Scene | AerialScene:
        """Draw the scene of one picture, of a height and width in pixels."""
        return draw_scene(rng, size)

    @abstractmethod
    def files(self, split: str, count: int) -> list[PurePosixPath]:
        """Return the files of a split of `count` pictures, relative to the set's folder."""

    @abstractmethod
    def write_split(self, root: Path, split: str, scenes: Iterable[Scene]) -> None:
        """Write exactly `files(split, number of scenes)` into the empty or other split's folder.

        Raises:
            OSError: the disk refuses.
        """


def write_photo(file: Path, image: np.ndarray) -> None:
    """Write an (H, W, 3) uint8 RGB picture as a JPEG file."""
    write_picture(file, image[..., ::-1], _JPEG_OPTIONS)  # cv2 wants BGR


def write_picture(file: Path, pixels: np.ndarray, options: list[int] | None = None) -> None:
    """Encode by the file's suffix and write; unlike cv2.imwrite, raise when the disk refuses."""
    done, data = cv2.imencode(file.suffix, pixels, options or [])
    if not done:
        raise OSError(f"cannot encode {file} from an array of shape {pixels.shape}")
    file.write_bytes(data.tobytes())
