"""What an upload may be, seen before anything of it is decoded."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from fdam_mm.data.pictures.decoding import UNREADABLE
from fdam_mm.data.pictures.rows import read_pixels
from fdam_mm.errors import PictureError

MAX_BYTES = 32 << 20  # of one upload
MAX_PIXELS = 40_000_000  # of one picture
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")  # nothing else is even tried


def read_upload(file: Path) -> np.ndarray:
    """The pixels of an upload, (H, W, 3) uint8 BGR, turned as its orientation says.

    Raises:
        PictureError: It is too large, of another format or unreadable; names it without folder.
    """
    try:
        _require_bounds(file)
        return read_pixels(file)
    except PictureError as error:
        raise PictureError(str(error).replace(str(file), file.name)) from error


def _require_bounds(file: Path) -> None:
    if not file.is_file():
        raise PictureError(f"{file} is no longer kept; expected an upload: choose it again")
    if (size := file.stat().st_size) > MAX_BYTES:
        raise PictureError(
            f"{file} has {size / 2**20:.0f} MiB, expected at most {MAX_BYTES >> 20}; send a "
            "smaller one"
        )
    if _pixels(file) > MAX_PIXELS:
        raise PictureError(
            f"{file} has more than {MAX_PIXELS / 1e6:.0f} million pixels; send a smaller one"
        )


def _pixels(file: Path) -> float:
    """How many its header promises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(file, formats=_FORMATS) as picture:
                return picture.width * picture.height
        except Image.DecompressionBombError:
            return float("inf")
        except UnidentifiedImageError as error:
            raise PictureError(
                f"{file} is no picture that is read here, expected PNG, JPEG, WebP, BMP or TIFF"
            ) from error
        except UNREADABLE as error:
            raise PictureError(
                f"{file}: unreadable ({error}), expected a whole picture"
            ) from error
