"""GeoTIFF in and out: results lie where their picture lies."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, TiffTags

from fdam_mm.apis import InstanceResult, OrientedResult, Run, load_model, predict
from fdam_mm.apis.inputs import find_pictures
from fdam_mm.apis.picture import Picture
from fdam_mm.data.pictures.rows import read_pixels
from fdam_mm.errors import PictureError
from fdam_mm.oriented.boxes import OrientedBoxes

rasterio = pytest.importorskip("rasterio")
UTM = rasterio.crs.CRS.from_epsg(32633)
PLACE = rasterio.transform.from_origin(500000, 5200000, 0.5, 0.5)  # half a metre a pixel


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    bands = np.random.default_rng(0).integers(0, 255, (3, 90, 150), np.uint8)
    file = tmp_path / "place.tif"
    with rasterio.open(
        file, "w", driver="GTiff", height=90, width=150, count=3, dtype="uint8", crs=UTM,
        transform=PLACE,
    ) as out:  # fmt: skip
        out.write(bands)
    return file


def test_pixels_are_those_of_the_file(raster: Path) -> None:
    (picture,) = find_pictures(raster)
    with rasterio.open(raster) as file:
        rgb = file.read().transpose(1, 2, 0)
    assert picture.size == (90, 150)
    np.testing.assert_array_equal(picture.source()["img"], rgb[..., ::-1])
    windows = np.array([[10, 20, 40, 60]])
    ((_, part),) = picture.windows(windows)
    np.testing.assert_array_equal(part, rgb[20:60, 10:40, ::-1])


@pytest.mark.parametrize("count", [1, 3])
def test_sixteen_bits_are_read_as_the_toolkits_do(tmp_path: Path, count: int) -> None:
    bands = np.random.default_rng(0).integers(0, 65536, (count, 9, 15), np.uint16)
    file = tmp_path / "deep.tif"
    with rasterio.open(
        file, "w", driver="GTiff", height=9, width=15, count=count, dtype="uint16", crs=UTM,
        transform=PLACE, photometric="RGB" if count == 3 else "MINISBLACK",
    ) as out:  # fmt: skip
        out.write(bands)
    (picture,) = find_pictures(file)
    np.testing.assert_array_equal(picture.source()["img"], read_pixels(file))


@pytest.mark.parametrize("tile", [None, 64])
def test_labels_keep_their_place(run: Run, raster: Path, tmp_path: Path, tile: int | None) -> None:
    model = load_model(run.work_dir, device="cpu")
    (result,) = predict(model, raster, tile=tile, progress=False)
    with rasterio.open(result.save(tmp_path / "out")) as saved:
        assert saved.crs == UTM and saved.transform == PLACE
        np.testing.assert_array_equal(saved.read(1), result.labels + 1)
        assert saved.colormap(1)[1][:3] == tuple(model.dataset_meta["palette"][0])


def square(raster: Path) -> tuple[Picture, np.ndarray]:
    return find_pictures(raster)[0], np.array([[10, 20, 30, 40]], np.float32)


def corners_on_the_map(file: Path) -> set[tuple[float, float]]:
    content = json.loads(file.read_text())
    assert content["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    (feature,) = content["features"]
    assert feature["properties"] == {"class": "house", "score": 0.5}
    (ring,) = feature["geometry"]["coordinates"]
    assert ring[0] == ring[-1]
    return {tuple(point) for point in ring}


EXPECTED = {(500005, 5199990), (500015, 5199990), (500015, 5199980), (500005, 5199980)}


def test_boxes_in_map_coordinates(raster: Path, tmp_path: Path) -> None:
    picture, boxes = square(raster)
    result = InstanceResult(
        picture, ("house",), ((255, 0, 0),), None, boxes, np.array([0.5]), np.array([0])
    )
    assert corners_on_the_map(result.save(tmp_path)) == EXPECTED


def test_rotated_boxes_in_map_coordinates(raster: Path, tmp_path: Path) -> None:
    picture, _ = square(raster)
    objects = OrientedBoxes(np.array([[20, 30, 20, 20, 0.0]]), np.array([0.5]), np.array([0]))
    result = OrientedResult(picture, ("house",), ((255, 0, 0),), None, objects)
    assert corners_on_the_map(result.save(tmp_path)) == EXPECTED


def test_a_plain_tiff_is_a_picture(raster: Path, tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "plain.tif"), np.zeros((8, 9, 3), np.uint8))
    (picture,) = find_pictures(tmp_path / "plain.tif")
    assert picture.reference is None and picture.size == (8, 9)


@pytest.mark.parametrize("big", [False, True], ids=["TIFF", "BigTIFF"])
def test_one_with_an_orientation_is_refused(tmp_path: Path, big: bool) -> None:
    """Its reference is of the stored pixels, and other readers turn them."""
    file = tmp_path / "turned.tif"
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550], tags[33922] = (0.5, 0.5, 0.0), (0.0, 0.0, 0.0, 5e5, 52e5, 0.0)
    tags.tagtype[33550] = tags.tagtype[33922] = TiffTags.DOUBLE
    for orientation in (None, 1, 6):
        if orientation is not None:
            tags[274] = orientation
        Image.new("RGB", (30, 20)).save(file, tiffinfo=tags, big_tiff=big)
        if orientation == 6:
            with pytest.raises(
                PictureError, match=r"turned.tif: a GeoTIFF with the orientation 6"
            ):
                find_pictures(file)
        else:
            assert find_pictures(file)[0].reference is not None
