"""The one reader of pictures: pixels and sizes as mmcv's default loader gives them in training.

Of 8 bits, BGR, turned by the orientation that the file names. Large pictures are read by rows.
"""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import cv2
import numpy as np
from PIL import Image

from fdam_mm.errors import PictureError

from .decoding import UNREADABLE, decode
from .orientation import UPRIGHT, png_orientation, turn
from .png_rows import SIGNATURE, PngRows

_BAND = 1 << 22  # bytes of the rows that are decoded at once where nobody keeps them


class PictureSize(NamedTuple):
    """In pixels, as the picture is seen: the first two of its array's shape."""

    height: int
    width: int


class PictureRows:
    """A picture that is read from top to bottom; a context manager that closes the file.

    A PNG that is not interlaced is decoded row by row, at the cost of a temporary file where it
    has an orientation. All else is decoded at once, up to Pillow's limit of pixels.

    Attributes:
        size, height, width: as the picture is seen.

    Raises:
        PictureError: it cannot be read; `read` raises it too.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        with naming(file), ExitStack() as stack:
            self._rows = _decoder(stack.enter_context(file.open("rb")))
            self._files = stack.pop_all()  # what is open now stays open
        self.size = PictureSize(self._rows.height, self._rows.width)
        self.height, self.width = self.size

    def read(self, count: int) -> np.ndarray:
        """Return the next rows, (count, W, 3) uint8 BGR."""
        with naming(self._file):
            return self._rows.read(count)

    def __enter__(self) -> "PictureRows":
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()


def picture_size(file: Path, whole: bool = False) -> PictureSize:
    """Return height and width of a picture as it is seen.

    Args:
        file: the picture.
        whole: also decode all of it, to see that nothing is missing.

    Raises:
        PictureError: it cannot be read.
    """
    with PictureRows(file) as rows:
        if whole:
            for _ in _bands(rows):
                pass
        return rows.size


def read_pixels(file: Path) -> np.ndarray:
    """Return the pixels of a picture as it is seen, (H, W, 3) uint8 BGR.

    Raises:
        PictureError: it cannot be read.
    """
    with PictureRows(file) as rows:
        return rows.read(rows.height)


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


class _Rows(Protocol):
    """What decodes a picture from top to bottom."""

    width: int
    height: int

    def read(self, count: int) -> np.ndarray:
        """Return the next rows, (count, W, 3) uint8 BGR."""


class _WholePicture:
    """A picture that is decoded at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._pixels = decode(stream)
        self.height, self.width = self._pixels.shape[:2]
        self._next = 0

    def read(self, count: int) -> np.ndarray:
        """Return the next rows, (count, W, 3) uint8 BGR."""
        rows = self._pixels[self._next : self._next + count]
        self._next += count
        return rows


class _TurnedPng:
    """A PNG with an orientation: its rows wait in a temporary file and are taken turned."""

    def __init__(self, stored: PngRows, orientation: int) -> None:
        self._stored, self._orientation = stored, orientation
        self.height, self.width = stored.height, stored.width
        if orientation >= 5:
            self.height, self.width = stored.width, stored.height
        self._next = 0

    @cached_property
    def _pixels(self) -> np.ndarray:
        shape = (self._stored.height, self._stored.width, 3)
        with tempfile.TemporaryFile() as file:
            for band in _bands(self._stored):
                file.write(band)
            file.flush()
            return turn(np.memmap(file, np.uint8, "r", shape=shape), self._orientation)

    def read(self, count: int) -> np.ndarray:
        """Return the next rows, (count, W, 3) uint8 BGR."""
        rows = np.array(self._pixels[self._next : self._next + count])
        self._next += count
        return rows


def _bands(rows: _Rows | PictureRows) -> Iterator[np.ndarray]:
    """Read a picture to its end, a few rows at a time."""
    count = max(1, _BAND // (3 * rows.width))
    for start in range(0, rows.height, count):
        yield rows.read(min(count, rows.height - start))


def _decoder(stream: BinaryIO) -> _Rows:
    is_png = stream.read(len(SIGNATURE)) == SIGNATURE
    stream.seek(0)
    if is_png:
        orientation = png_orientation(stream)
        stream.seek(0)
        rows = PngRows(stream)
        if not rows.interlaced:
            return rows if orientation == UPRIGHT else _TurnedPng(rows, orientation)
        stream.seek(0)
    return _WholePicture(stream)


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Turn what decoders raise into a PictureError that names the file."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise PictureError(
            f"{file}: too large to be decoded at once ({error}), "
            "expected a PNG that is not interlaced, which is read row by row"
        ) from error
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise  # of the temporary file
        raise PictureError(f"{file}: unreadable ({error}), expected a whole picture") from error
