"""Read windows of large pictures of any kind as BGR, 8 bits, without keeping the whole picture."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from fdam_mm.data.check.problems import UNREADABLE
from fdam_mm.errors import PictureError

from .png_rows import SIGNATURE, PngRows

_WIDE_MODES = ("I;16", "I;16B", "I;16L", "I;16N")  # grey with 16 bits


class PictureRows:
    """A picture that is read from top to bottom; a context manager that closes the file.

    Only a PNG that is not interlaced is decoded row by row. Other formats and an interlaced PNG
    are decoded at once, up to Pillow's limit of pixels.

    Attributes:
        width: in pixels.
        height: in pixels.

    Raises:
        PictureError: it cannot be read; `read` raises it too.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        with _naming(file), ExitStack() as stack:
            self._rows = _decoder(stack.enter_context(file.open("rb")))
            self._files = stack.pop_all()  # what is open now stays open
        self.width, self.height = self._rows.width, self._rows.height

    def read(self, count: int) -> np.ndarray:
        """Return the next rows, (count, W, 3) uint8 BGR."""
        with _naming(self._file):
            return self._rows.read(count)

    def __enter__(self) -> "PictureRows":
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()


def picture_size(file: Path) -> tuple[int, int]:
    """Return width and height in pixels.

    Raises:
        PictureError: it cannot be read.
    """
    with PictureRows(file) as rows:
        return rows.width, rows.height


def read_windows(file: Path, windows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Read windows of a picture from top to bottom; no more rows are held than they need.

    Args:
        file: the picture.
        windows: (N, 4) ints: left, top, right, bottom; they may stick out to the right or below.

    Yields:
        Index of a window, and its part inside the picture: (h, w, 3) uint8 BGR, a view that is
        valid until the next step. They come by top edge, else in the order given.

    Raises:
        PictureError: the picture cannot be read, perhaps after some windows.
    """
    with PictureRows(file) as rows:
        first, held = 0, rows.read(0)  # the rows from `first` on
        for index in np.argsort(windows[:, 1], kind="stable").tolist():
            left, top, right, bottom = windows[index].tolist()
            bottom, loaded = min(bottom, rows.height), first + len(held)
            if bottom > loaded:
                start = min(top, loaded)
                held = np.concatenate([held[start - first :], rows.read(bottom - loaded)])
                first = start
            yield index, held[top - first : bottom - first, left:right]


def pad_patch(patch: np.ndarray, size: int, colour: tuple[int, int, int]) -> np.ndarray:
    """Return (size, size, 3): the patch, and the colour to its right and below."""
    below, right = size - patch.shape[0], size - patch.shape[1]
    return cv2.copyMakeBorder(patch, 0, below, 0, right, cv2.BORDER_CONSTANT, value=colour)


class _WholePicture:
    """A picture that Pillow decodes at once, when the first rows are read."""

    def __init__(self, stream: BinaryIO) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            self._picture = Image.open(stream)
        self.width, self.height = self._picture.size
        self._next = 0

    @cached_property
    def _pixels(self) -> np.ndarray:
        return _to_bgr(self._picture)

    def read(self, count: int) -> np.ndarray:
        """Return the next rows, (count, W, 3) uint8 BGR."""
        rows = self._pixels[self._next : self._next + count]
        self._next += count
        return rows


def _to_bgr(picture: Image.Image) -> np.ndarray:
    """Return (H, W, 3) uint8: of 16 bits the upper 8, without alpha."""
    if picture.mode in _WIDE_MODES:
        grey = (np.asarray(picture) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.mode in ("I", "F"):
        raise ValueError(f"its pixels are of Pillow's mode {picture.mode}, not of 8 or 16 bits")
    return np.asarray(picture.convert("RGB"))[..., ::-1]


def _decoder(stream: BinaryIO) -> PngRows | _WholePicture:
    is_png = stream.read(len(SIGNATURE)) == SIGNATURE
    stream.seek(0)
    rows = PngRows(stream) if is_png else None
    if rows and not rows.interlaced:
        return rows
    stream.seek(0)
    return _WholePicture(stream)


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Turn what decoders raise into a PictureError that names the file."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise PictureError(
            f"{file}: too large to be decoded at once ({error}), "
            "expected a PNG that is not interlaced, which is read row by row"
        ) from error
    except UNREADABLE as error:
        raise PictureError(f"{file}: unreadable ({error}), expected a whole picture") from error
