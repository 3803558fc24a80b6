"""GeoTIFF: reading windows of a raster, and writing results where they lie on the earth.

rasterio does the work (extra ``[geo]``); without it a GeoTIFF is a TIFF like any other.
"""

import struct
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fdam_mm.errors import PictureError

_BLOCK = 512  # pixels, side of the blocks that rasters are written in
_ORIENTATION, _UPRIGHT = 274, 1  # a tag of TIFF, and its value where nothing is turned


@dataclass(frozen=True)
class GeoReference:
    """Where the pixels of a raster lie: rasterio's CRS and affine transform."""

    crs: Any
    transform: Any

    def to_map(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) x and y in pixels -> the same in map coordinates."""
        m, x, y = self.transform, points[..., 0], points[..., 1]
        moved = m.a * x + m.b * y + m.c, m.d * x + m.e * y + m.f
        return np.stack(moved, axis=-1)


@dataclass(frozen=True)
class GeoTiff:
    """A raster with a reference; opened for each reading, so that threads and copies are safe."""

    path: Path
    size: tuple[int, int]  # height, width
    reference: GeoReference

    @staticmethod
    def open(path: Path) -> "GeoTiff | None":
        """The raster, or None where the file is no GeoTIFF or rasterio is not installed.

        Raises:
            PictureError: It has an orientation, while its reference is of the stored pixels.
        """
        if path.suffix.lower() not in (".tif", ".tiff"):
            return None
        try:
            import rasterio
        except ImportError:
            return None
        try:
            with _quietly(), rasterio.open(path) as raster:
                if raster.crs is None and raster.transform.is_identity:
                    return None
                reference = GeoReference(raster.crs, raster.transform)
                size = raster.height, raster.width
        except rasterio.errors.RasterioIOError:
            return None  # the readers of plain pictures say what is wrong
        if (orientation := _orientation(path)) != _UPRIGHT:
            raise PictureError(
                f"{path}: a GeoTIFF with the orientation {orientation}, which GDAL leaves out, so "
                "that its pixels may lie elsewhere than its reference says; expected none. Turn "
                "the pixels and save it without the tag"
            )
        return GeoTiff(path, size, reference)

    def read(self, window: tuple[int, int, int, int] | None = None, factor: int = 1) -> np.ndarray:
        """(h, w, C) of left, top, right, bottom, or of all; three bands come as BGR.

        One, three or four bands of 16 bits become 8, as in the toolkits' loader; other numbers of
        bands, which it cannot read, keep theirs.

        ``factor`` reduces what is read, by a whole number.
        """
        import rasterio
        from rasterio.windows import Window

        with _quietly(), rasterio.open(self.path) as raster:
            where = None
            if window is not None:
                left, top, right, bottom = window
                where = Window(left, top, right - left, bottom - top)
            height, width = (
                (raster.height, raster.width) if where is None else (where.height, where.width)
            )
            shape = (raster.count, -(-height // factor), -(-width // factor))
            bands = raster.read(window=where, out_shape=shape)  # (C, h, w)
        if bands.shape[0] in (1, 3, 4) and bands.dtype == np.uint16:
            bands = _eight_bits(bands)
        if bands.shape[0] == 4 and bands.dtype == np.uint8:
            bands = bands[:3]  # alpha
        if bands.shape[0] == 1:
            bands = bands.repeat(3, axis=0)
        if bands.shape[0] == 3:
            bands = bands[::-1]
        return np.ascontiguousarray(bands.transpose(1, 2, 0))


def _eight_bits(bands: np.ndarray) -> np.ndarray:
    """(C, h, w) uint16 -> uint8 as cv2 reads a TIFF: it rounds colours, and cuts grey off."""
    if bands.shape[0] == 1:
        return (bands >> 8).astype(np.uint8)
    return ((bands.astype(np.uint32) + 128) // 257).astype(np.uint8)


def write_labels(
    path: Path, labels: np.ndarray, reference: GeoReference, colours: Sequence[Sequence[int]]
) -> None:
    """Write a label raster (H, W) with CRS, transform and colour map, block by block."""
    import rasterio
    from rasterio.windows import Window

    from fdam_mm.files import atomic_file

    height, width = labels.shape
    profile = dict(
        driver="GTiff", height=height, width=width, count=1, dtype=labels.dtype.name,
        crs=reference.crs, transform=reference.transform, tiled=True, blockxsize=_BLOCK,
        blockysize=_BLOCK, compress="deflate", BIGTIFF="IF_SAFER",
    )  # fmt: skip
    with atomic_file(path) as file, rasterio.open(file.name, "w", **profile) as raster:
        if labels.dtype == np.uint8:
            raster.write_colormap(1, {i: (*c, 255) for i, c in enumerate(colours[:256])})
        for top in range(0, height, _BLOCK):
            rows = np.ascontiguousarray(labels[top : top + _BLOCK])
            raster.write(rows, 1, window=Window(0, top, width, len(rows)))


def features(
    polygons: Iterable[tuple[list[np.ndarray], dict[str, Any]]], reference: GeoReference
) -> dict[str, Any]:
    """A GeoJSON FeatureCollection of polygons in pixels, in the map coordinates of their raster.

    Args:
        polygons: Rings (N, 2) of x and y, the outer one first, and the properties of each object.
        reference: Of the raster. GeoJSON readers take the CRS from the member ``crs``.
    """
    collection: dict[str, Any] = {"type": "FeatureCollection"}
    if reference.crs is not None:
        name = reference.crs.to_string()
        if reference.crs.to_epsg():
            name = f"urn:ogc:def:crs:EPSG::{reference.crs.to_epsg()}"
        collection["crs"] = {"type": "name", "properties": {"name": name}}
    collection["features"] = [
        {
            "type": "Feature",
            "properties": properties,
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    reference.to_map(np.concatenate([ring, ring[:1]])).tolist() for ring in rings
                ],
            },
        }
        for rings, properties in polygons
    ]
    return collection


def _orientation(path: Path) -> int:
    """The orientation in the first directory of a TIFF or BigTIFF, which GDAL does not tell."""
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        is_big = struct.unpack(f"{order}H", head[2:4])[0] == 43
        offset, count, entry = ("Q", "Q", 20) if is_big else ("I", "H", 12)
        (start,) = struct.unpack_from(f"{order}{offset}", head, 8 if is_big else 4)
        file.seek(start)
        (length,) = struct.unpack(f"{order}{count}", file.read(struct.calcsize(f"<{count}")))
        entries = file.read(length * entry)
    for place in range(0, len(entries) - entry + 1, entry):
        if struct.unpack_from(f"{order}H", entries, place)[0] == _ORIENTATION:
            return struct.unpack_from(f"{order}H", entries, place + (12 if is_big else 8))[0]
    return _UPRIGHT


@contextmanager
def _quietly() -> Iterator[None]:
    """rasterio warns of every picture that lies nowhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
