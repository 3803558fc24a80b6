"""What :func:`fdam_mm.apis.predict` takes: paths, folders, globs, arrays, pictures of Pillow."""

import glob
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from fdam_mm.data.pictures.rasters import open_raster, read_bands
from fdam_mm.data.pictures.reduced import reduced_picture
from fdam_mm.data.pictures.rows import picture_size, read_windows
from fdam_mm.errors import MissingFileError, UsageError

from .geo import GeoReference, GeoTiff
from .picture import Picture, PixelPicture, for_drawing

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


@dataclass(frozen=True, eq=False)
class FilePicture(Picture):
    """A file, which the toolkits' pipelines read themselves."""

    path: Path

    @cached_property
    def size(self) -> tuple[int, int]:
        size = picture_size(self.path)
        return size.height, size.width

    def source(self) -> dict[str, Any]:
        return dict(img_path=str(self.path), img_id=self.name)

    def windows(self, windows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        return read_windows(self.path, windows)

    def reduced(self, max_side: int) -> tuple[np.ndarray, int]:
        return reduced_picture(self.path, max_side)


@dataclass(frozen=True, eq=False)
class RasterPicture(Picture):
    """A GeoTIFF, which is read window by window."""

    path: Path
    raster: GeoTiff

    @property
    def size(self) -> tuple[int, int]:
        return self.raster.size

    @property
    def reference(self) -> GeoReference:
        return self.raster.reference

    def source(self) -> dict[str, Any]:
        return dict(img=self.raster.read(), img_id=self.name)

    def windows(self, windows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        for index in np.argsort(windows[:, 1], kind="stable").tolist():
            left, top, right, bottom = windows[index].tolist()
            yield index, self.raster.read((left, top, right, bottom))

    def reduced(self, max_side: int) -> tuple[np.ndarray, int]:
        factor = -(-max(self.size) // max_side)
        return for_drawing(self.raster.read(factor=factor), max_side)[0], factor


@dataclass(frozen=True, eq=False)
class BandsPicture(Picture):
    """A file of any bands and depth, read in its own numbers as ``LoadRaster`` does."""

    path: Path
    raster: GeoTiff | None

    @cached_property
    def size(self) -> tuple[int, int]:
        with open_raster(self.path) as raster:
            return raster.height, raster.width

    @property
    def reference(self) -> GeoReference | None:
        return None if self.raster is None else self.raster.reference

    def source(self) -> dict[str, Any]:
        return dict(img_path=str(self.path), img_id=self.name)

    def windows(self, windows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        for index in np.argsort(windows[:, 1], kind="stable").tolist():
            left, top, right, bottom = windows[index].tolist()
            yield index, read_bands(self.path, (left, top, right, bottom))

    def reduced(self, max_side: int) -> tuple[np.ndarray, int]:
        factor = -(-max(self.size) // max_side)
        pixels = np.nan_to_num(read_bands(self.path, factor=factor))
        first = pixels[..., 2::-1] if pixels.shape[2] >= 3 else pixels  # as RGB in files
        return for_drawing(first, max_side)[0], factor


def find_pictures(inputs: Any, bands: bool = False) -> list[Picture]:
    """Every picture that ``inputs`` means, in order; those of a folder or glob by name.

    With ``bands`` files are read in all their bands and depth, for a model that was trained so.

    Raises:
        MissingFileError: A path does not exist, or a folder or glob has no picture.
        UsageError: An item is something else, or no array of pixels.
    """
    return _with_own_names([_in_bands(p) if bands else p for p in _listed(inputs)])


def _in_bands(picture: Picture) -> Picture:
    if picture.path is None:
        return picture
    raster = picture.raster if isinstance(picture, RasterPicture) else None
    return BandsPicture(picture.name, picture.path, raster)


def _listed(inputs: Any) -> list[Picture]:
    if isinstance(inputs, str | Path):
        return _from_path(Path(inputs).expanduser())
    if isinstance(inputs, np.ndarray | Image.Image):
        return [_from_memory(inputs, "picture")]
    if not isinstance(inputs, Iterable):
        raise UsageError(
            f"predict takes paths, folders, globs, arrays, PIL pictures or lists of them, "
            f"got {type(inputs).__name__}"
        )
    found: list[Picture] = []
    for index, item in enumerate(inputs):
        if isinstance(item, np.ndarray | Image.Image):
            found.append(_from_memory(item, f"picture_{index}"))
        elif isinstance(item, str | Path):
            found += _from_path(Path(item).expanduser())
        else:
            raise UsageError(f"item {index} of the inputs is a {type(item).__name__}, no picture")
    return found


def _from_path(path: Path) -> list[Picture]:
    if path.is_file():
        return [_from_file(path)]
    if path.is_dir():
        files = sorted(path.iterdir())
    else:
        files = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
    files = [file for file in files if file.is_file() and file.suffix.lower() in SUFFIXES]
    if not files:
        raise MissingFileError(
            f"{path}: no such picture, or folder or glob with pictures ({', '.join(SUFFIXES)})"
        )
    return [_from_file(file) for file in files]


def _from_file(path: Path) -> Picture:
    raster = GeoTiff.open(path)
    return (
        FilePicture(path.stem, path) if raster is None else RasterPicture(path.stem, path, raster)
    )


def _with_own_names(pictures: list[Picture]) -> list[Picture]:
    """Pictures of one name, from several folders or of several formats, get longer names."""
    counts = Counter(picture.name for picture in pictures)
    found: list[Picture] = []
    used: set[str] = set()
    for picture in pictures:
        name = picture.name
        if counts[name] > 1 and picture.path is not None:
            name = f"{picture.path.parent.name}_{picture.path.name.replace('.', '_')}"
        unique, number = name, 1
        while unique in used:
            number += 1
            unique = f"{name}_{number}"
        used.add(unique)
        found.append(replace(picture, name=unique))
    return found


def _from_memory(item: np.ndarray | Image.Image, name: str) -> Picture:
    if isinstance(item, Image.Image):
        item = ImageOps.exif_transpose(item)  # as a file is read
        item = np.asarray(item.convert("RGB"))[..., ::-1].copy()
    if item.ndim == 2:
        item = np.repeat(item[..., None], 3, axis=2)
    if item.ndim != 3 or 0 in item.shape:
        raise UsageError(f"an array of shape {item.shape} is no picture, expected (H, W, C) BGR")
    return PixelPicture(name, None, item)
