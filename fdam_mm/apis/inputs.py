"""What :func:`fdam_mm.apis.predict` takes: paths, folders, globs, arrays, pictures of Pillow."""

import glob
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from fdam_mm.data.pictures.rows import read_windows
from fdam_mm.errors import MissingFileError, UsageError

from .geo import GeoReference, GeoTiff

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture to predict: a file, or pixels in memory.

    Attributes:
        name: For the files of its result.
        path: The file; None for pixels in memory.
        array: (H, W, C) pixels, BGR as everywhere in OpenMMLab; None for a file.
    """

    name: str
    path: Path | None = None
    array: np.ndarray | None = None

    @cached_property
    def geo(self) -> "GeoTiff | None":
        """The raster, where the file is a GeoTIFF."""
        return GeoTiff.open(self.path) if self.path is not None else None

    @property
    def reference(self) -> GeoReference | None:
        """Where on the earth the picture lies, if it says so."""
        return None if self.geo is None else self.geo.reference

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        if self.array is not None:
            return self.array.shape[0], self.array.shape[1]
        if self.geo is not None:
            return self.geo.size
        return _size_of(self.path)

    def source(self) -> dict[str, Any]:
        """What a test pipeline of the toolkits starts from."""
        if self.array is not None:
            return dict(img=self.array, img_id=self.name)
        if self.geo is not None:
            return dict(img=self.geo.read(), img_id=self.name)
        return dict(img_path=str(self.path), img_id=self.name)

    def windows(self, windows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Index and pixels (h, w, C) of each of (N, 4) left, top, right, bottom, by top edge."""
        if self.array is None and self.geo is None:
            yield from read_windows(self.path, windows)
            return
        for index in np.argsort(windows[:, 1], kind="stable").tolist():
            left, top, right, bottom = windows[index].tolist()
            if self.array is not None:
                yield index, self.array[top:bottom, left:right]
            else:
                yield index, self.geo.read((left, top, right, bottom))

    def pixels(self) -> np.ndarray:
        """The whole picture, (H, W, 3) uint8 BGR, to draw on."""
        if self.array is not None:
            return _to_three(self.array)
        if self.geo is not None:
            return _to_three(self.geo.read())
        pixels = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if pixels is None:
            raise MissingFileError(f"picture {self.path} cannot be read any more")
        return pixels


def find_pictures(inputs: Any) -> list[Picture]:
    """Every picture that ``inputs`` means, in order; those of a folder or glob by name.

    Raises:
        MissingFileError: A path does not exist, or a folder or glob has no picture.
        UsageError: An item is something else, or no array of pixels.
    """
    return _with_own_names(_listed(inputs))


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
        return [Picture(path.stem, path)]
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in SUFFIXES)
        if not files:
            raise MissingFileError(f"{path} has no pictures ({', '.join(SUFFIXES)})")
        return [Picture(file.stem, file) for file in files]
    files = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
    files = [file for file in files if file.is_file() and file.suffix.lower() in SUFFIXES]
    if not files:
        raise MissingFileError(f"{path}: no such picture, folder or glob with pictures")
    return [Picture(file.stem, file) for file in files]


def _with_own_names(pictures: list[Picture]) -> list[Picture]:
    """Pictures of one name, from several folders or of several formats, get longer names."""
    counts = Counter(picture.name for picture in pictures)
    found, used = [], set()
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
        return Picture(name, array=np.asarray(item.convert("RGB"))[..., ::-1].copy())
    if item.ndim == 2:
        item = np.repeat(item[..., None], 3, axis=2)
    if item.ndim != 3 or 0 in item.shape:
        raise UsageError(f"an array of shape {item.shape} is no picture, expected (H, W, C) BGR")
    return Picture(name, array=item)


def _size_of(path: Path) -> tuple[int, int]:
    from fdam_mm.data.pictures.rows import PictureRows

    with PictureRows(path) as rows:
        return rows.height, rows.width


def _to_three(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of any bands and depth; more than 8 bits are stretched to their range."""
    pixels = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, axis=2)
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    low, high = float(pixels.min()), float(pixels.max())
    return ((pixels - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
