"""TIFFs through rasterio (extra ``[geo]``): every compression, any number of bands, windows."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fdam_mm.errors import PictureError
from fdam_mm.toolkits.optional import require


@contextmanager
def open_raster(file: Path) -> Iterator[Any]:
    """A file as a rasterio dataset, without its warnings about pictures that lie nowhere.

    Raises:
        MissingPackageError: rasterio is not installed.
        PictureError: It cannot be read, now or while it is open.
    """
    rasterio = require("rasterio", f"{file}: reading it", "fdam_mm[geo]")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(file) as raster:
                yield raster
    except rasterio.errors.RasterioError as error:
        raise PictureError(f"{file}: unreadable ({error}), expected a whole TIFF") from error


def raster_size(file: Path) -> tuple[int, int]:
    """Height and width of a raster, all of whose blocks are decoded.

    Raises:
        MissingPackageError: rasterio is not installed.
        PictureError: It cannot be read, or a part of it.
    """
    with open_raster(file) as raster:
        for _, window in raster.block_windows(1):
            raster.read(window=window)
        return raster.height, raster.width


def read_bands(
    file: Path, window: tuple[int, int, int, int] | None = None, factor: int = 1
) -> np.ndarray:
    """(h, w, C) float32: every band in its own numbers and the order of the file.

    Pixels without data are NaN, and so are infinite ones.

    Args:
        file: Read by rasterio.
        window: Left, top, right, bottom; None for all.
        factor: Reduces what is read, by a whole number.

    Raises:
        MissingPackageError: rasterio is not installed.
        PictureError: It cannot be read.
    """
    with open_raster(file) as raster:
        left, top, right, bottom = window or (0, 0, raster.width, raster.height)
        shape = (raster.count, -(-(bottom - top) // factor), -(-(right - left) // factor))
        where = ((top, bottom), (left, right))
        bands = raster.read(window=where, out_shape=shape, masked=True)  # (C, h, w)
    pixels = bands.astype(np.float32).filled(np.nan).transpose(1, 2, 0)
    pixels[np.isinf(pixels)] = np.nan
    return np.ascontiguousarray(pixels)


def band_statistics(
    files: Sequence[Path], most: int = 200, side: int = 512, progress: Callable = iter
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each band, without the pixels that have no data.

    Args:
        files: Pictures of the same bands.
        most: Files that are read, evenly spread over the list.
        side: Of each, about this many pixels a side, evenly spread: memory and time are bounded.
        progress: Wraps the list of files.

    Raises:
        PictureError: A file cannot be read, or has other bands than the first.
    """
    places = np.linspace(0, len(files) - 1, min(most, len(files))).astype(int)
    chosen = [files[place] for place in places]
    sums: np.ndarray | None = None  # (3, C): number, sum, sum of squares
    for file in progress(chosen):
        with open_raster(file) as raster:
            factor = max(1, min(raster.width, raster.height) // side)
            shape = (raster.count, -(-raster.height // factor), -(-raster.width // factor))
            bands = raster.read(out_shape=shape, masked=True)
        values = bands.astype(np.float64).filled(np.nan).reshape(len(bands), -1)
        values[~np.isfinite(values)] = np.nan
        known = np.isfinite(values).sum(1)
        found = np.stack([known, np.nansum(values, 1), np.nansum(values**2, 1)])
        if sums is not None and sums.shape != found.shape:
            raise PictureError(
                f"{file}: {found.shape[1]} bands, expected {sums.shape[1]} as {chosen[0]}"
            )
        sums = found if sums is None else sums + found
    assert sums is not None
    count = np.maximum(sums[0], 1)
    mean = sums[1] / count
    deviation = np.sqrt(np.maximum(sums[2] / count - mean**2, 0))
    deviation[deviation == 0] = 1  # a band without content
    return [float(f"{m:.5g}") for m in mean], [float(f"{d:.5g}") for d in deviation]
