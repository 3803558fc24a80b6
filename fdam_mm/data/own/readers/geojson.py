"""GeoJSON over GeoTIFF: features in map coordinates, of the raster of the same name, or of all.

rasterio (extra ``[geo]``) reads the rasters' places and moves features to their coordinates.
"""

import json
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import shapely
from shapely.geometry import shape

from fdam_mm.data.check.problems import Problem, show
from fdam_mm.data.formats.polygons import FARTHEST
from fdam_mm.data.own.folder import Folder, read_text, split_of
from fdam_mm.data.own.labelled import (
    ClassInfo,
    LabelledObject,
    LabelledPicture,
    LabelledSet,
    ObjectLabels,
)
from fdam_mm.data.own.pairs import name_of
from fdam_mm.data.own.shapes import box_of, is_rectangle, is_upright
from fdam_mm.data.pictures.rasters import open_raster
from fdam_mm.errors import LabelError

NAME = "geojson"
LOOKED_FOR = "GeoJSONs (FeatureCollection) beside GeoTIFFs"

_SUFFIXES = (".geojson", ".json")
_CLASS_KEYS = ("class", "label", "category", "class_name", "type_name", "name", "type", "kind")
_LONLAT = "OGC:CRS84"  # of a GeoJSON that names none (RFC 7946)


def detects(folder: Folder) -> bool:
    return bool(_files(folder)) and bool(folder.with_suffix(".tif", ".tiff"))


def _files(folder: Folder) -> list[PurePosixPath]:
    return [
        file
        for file in folder.with_suffix(*_SUFFIXES)
        if b'"FeatureCollection"' in folder.path(file).read_bytes()
    ]


def open_set(folder: Folder) -> LabelledSet:
    """Reads every GeoJSON and the place of every raster.

    A feature of a GeoJSON that is not called as a raster belongs to each raster that shows some of
    it.

    Raises:
        LabelError: A GeoJSON is broken.
        UsageError: rasterio is not installed.
    """
    problems: list[Problem] = []
    rasters = [f for f in folder.with_suffix(".tif", ".tiff") if _has_place(folder.path(f))]
    features: dict[PurePosixPath, list[tuple[str, LabelledObject]]] = {}
    for file in _files(folder):
        same = [raster for raster in rasters if raster.stem == file.stem]
        data = _load(folder.path(file))
        shown = Counter[int]()
        for raster in same or rasters:
            found = _features(folder.path(file), data, folder.path(raster), bool(same))
            shown.update(index for index, _ in found)
            features.setdefault(raster, []).extend(item for _, item in found)
        lost = [index for index in range(len(data["features"])) if index not in shown]
        if lost:
            text = f"{len(lost)} of {len(data['features'])} features outside of all rasters"
            problems.append(Problem(folder.path(file), text, "them on one of the GeoTIFFs"))
    names = sorted({name for listed in features.values() for name, _ in listed})
    label_of = {name: label for label, name in enumerate(names)}
    of_raster = {folder.path(file): listed for file, listed in features.items()}

    def read(picture: LabelledPicture) -> ObjectLabels:
        from dataclasses import replace

        listed = of_raster.get(picture.image, [])
        return ObjectLabels(tuple(replace(o, label=label_of[name]) for name, o in listed))

    every = [found for listed in features.values() for _, found in listed]
    is_oriented = bool(every) and all(
        len(o.polygons) == 1 and is_rectangle(o.polygons[0]) for o in every
    )
    is_oriented &= not all(is_upright(o.polygons[0], 1.5) for o in every if is_oriented)
    if is_oriented:
        of_raster = {
            image: [(name, replace_polygon(found)) for name, found in listed]
            for image, listed in of_raster.items()
        }
    pictures = [
        LabelledPicture(
            name_of(raster), folder.path(raster), split_of(raster),
            _file_of(folder, raster) if raster in features else None,
        )
        for raster in rasters
    ]  # fmt: skip
    return LabelledSet(
        folder.root, NAME, "rectangles" if is_oriented else "polygons",
        "oriented" if is_oriented else "instance", tuple(ClassInfo(name) for name in names),
        tuple(sorted(pictures, key=lambda p: (p.split or "", p.name))), read, tuple(problems),
    )  # fmt: skip


def replace_polygon(found: LabelledObject) -> LabelledObject:
    """A rectangle as a rotated box."""
    return LabelledObject(
        found.label, found.box, corners=found.polygons[0], attributes=found.attributes
    )


def _file_of(folder: Folder, raster: PurePosixPath) -> Path:
    files = _files(folder)
    return folder.path(next((file for file in files if file.stem == raster.stem), files[0]))


def _has_place(file: Path) -> bool:
    with open_raster(file) as raster:
        return raster.crs is not None or not raster.transform.is_identity


def _load(path: Path) -> dict[str, Any]:
    expected = "expected a FeatureCollection of GeoJSON"
    try:
        data = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise LabelError(f"{path}: unreadable ({error}), {expected}") from error
    if not isinstance(data, dict) or not isinstance(data.get("features"), list):
        raise LabelError(f"{path}: no list 'features', {expected}")
    return data


def _features(
    path: Path, data: dict, raster_file: Path, whole: bool
) -> list[tuple[int, tuple[str, LabelledObject]]]:
    """Numbers, names and objects in pixels of a raster; those that it shows, or all if ``whole``.

    Raises:
        LabelError: A feature is broken.
    """
    key = _class_key(data)
    found = []
    with open_raster(raster_file) as raster:
        to_pixels, size = ~raster.transform, (raster.height, raster.width)
        project = _projection(path, data, raster.crs)
    frame = shapely.box(0, 0, size[1], size[0])
    for index, feature in enumerate(data["features"]):
        where = f"{path}: feature {index}"
        try:
            properties = _properties(feature)
            geometry = shape(project(feature["geometry"]))
            m = to_pixels
            moved = shapely.transform(
                geometry,
                lambda p, m=m: np.stack(
                    [m.a * p[:, 0] + m.b * p[:, 1] + m.c, m.d * p[:, 0] + m.e * p[:, 1] + m.f], 1
                ),
            )
        except LabelError:
            raise
        except Exception as error:  # shapely's and rasterio's, of any kind
            raise LabelError(
                f"{where}: a broken geometry ({error}), expected a Polygon or MultiPolygon"
            ) from error
        if geometry.geom_type not in ("Polygon", "MultiPolygon") or geometry.is_empty:
            raise LabelError(
                f"{where}: a {geometry.geom_type}, expected a Polygon or MultiPolygon"
            )
        if not whole and not moved.intersects(frame):
            continue
        name = str(properties.get(key, "object")) if key else "object"
        others = {k: v for k, v in properties.items() if k != key}
        found.append((index, (name, _object(moved, size, others, where))))
    return found


def _class_key(data: dict) -> str | None:
    """The property that has the class: the first of the usual ones that all features have."""
    listed = [_properties(f) for f in data["features"]]
    for key in _CLASS_KEYS:
        if listed and all(isinstance(p.get(key), str | int) and p.get(key) != "" for p in listed):
            return key
    return None


def _properties(entry: Any) -> dict[str, Any]:
    """The properties of a feature; empty where it has none."""
    found = entry.get("properties") if isinstance(entry, dict) else None
    return found if isinstance(found, dict) else {}


def _projection(path: Path, data: dict, crs: Any) -> Any:
    """Moves a geometry to a raster's coordinates."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError
    from rasterio.warp import transform_geom

    named = data.get("crs")
    name = _properties(named).get("name") if isinstance(named, dict) else None
    if crs is None:
        return lambda geometry: geometry
    try:
        source = CRS.from_user_input(name if isinstance(name, str) else _LONLAT)
    except CRSError as error:
        raise LabelError(f"{path}: crs {show(name)}, expected one that GDAL knows") from error
    if source == crs:
        return lambda geometry: geometry
    return lambda geometry: transform_geom(source, crs, geometry)


def _object(geometry: Any, size: tuple[int, int], attributes: dict, where: str) -> LabelledObject:
    """Polygons in pixels, or run lengths where they have holes."""
    parts = list(getattr(geometry, "geoms", [geometry]))
    outer = tuple(np.array(part.exterior.coords)[:-1] for part in parts)
    box = box_of(np.concatenate(outer))
    if not all(abs(side) <= FARTHEST for side in box):  # NaN is not either
        raise LabelError(f"{where}: {box} in pixels of the raster, expected a place on it")
    if any(len(part.interiors) for part in parts):
        return LabelledObject(-1, box, rle=_with_holes(geometry, size), attributes=attributes)
    return LabelledObject(-1, box, outer, attributes=attributes)


def _with_holes(geometry: Any, size: tuple[int, int]) -> dict:
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    from fdam_mm.data.own.shapes import rle_of

    left, top, right, bottom = geometry.bounds
    x, y = max(int(left), 0), max(int(top), 0)
    width, height = min(int(right) + 1, size[1]) - x, min(int(bottom) + 1, size[0]) - y
    if width <= 0 or height <= 0:
        raise LabelError("a polygon with a hole outside of its raster, expected it inside")
    mask = rasterize([geometry], (height, width), transform=Affine.translation(x, y))
    return rle_of(mask, x, y, size)
