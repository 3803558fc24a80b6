"""TIFFs through rasterio (extra ``[geo]``): every compression, any number of bands, windows."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fdam_mm.errors import PictureError, UsageError


@contextmanager
def open_raster(file: Path) -> Iterator[Any]:
    """A file as a rasterio dataset, without its warnings about pictures that lie nowhere.

    Raises:
        UsageError: rasterio is not installed.
        PictureError: It cannot be read, now or while it is open.
    """
    try:
        import rasterio
    except ImportError as error:
        raise UsageError(
            f"{file}: reading it needs rasterio: pip install 'fdam_mm[geo]'"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(file) as raster:
                yield raster
    except rasterio.errors.RasterioError as error:
        raise PictureError(f"{file}: unreadable ({error}), expected a whole TIFF") from error
