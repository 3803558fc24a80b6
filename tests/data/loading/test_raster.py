"""Every band of a picture, in its own numbers."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from fdam_mm.data.loading import LoadRaster
from fdam_mm.data.pictures.rasters import band_statistics, read_bands
from fdam_mm.errors import ConfigError, PictureError

rasterio = pytest.importorskip("rasterio")


def write(file: Path, bands: np.ndarray, nodata: float | None = None) -> Path:
    count, height, width = bands.shape
    profile = dict(driver="GTiff", count=count, height=height, width=width, dtype=bands.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(file, "w", nodata=nodata, **profile) as raster:
            raster.write(bands)
    return file


def test_bands_are_normalised_and_nothing_is_the_mean(tmp_path: Path) -> None:
    bands = np.arange(5 * 4 * 6, dtype=np.uint16).reshape(5, 4, 6)
    bands[:, 0, 0] = 60000
    file = write(tmp_path / "a.tif", bands, nodata=60000)
    mean, std = [10.0, 20.0, 30.0, 40.0, 50.0], [2.0] * 5
    load = LoadRaster(mean, std)
    expected = (bands.transpose(1, 2, 0).astype(np.float32) - mean) / 2
    expected[0, 0] = 0
    whole = load(dict(img_path=str(file)))
    np.testing.assert_allclose(whole["img"], expected)
    assert whole["img"].dtype == np.float32 and whole["ori_shape"] == (4, 6)
    window = load(dict(img=read_bands(file, (0, 1, 3, 4))))
    np.testing.assert_allclose(window["img"], expected[1:4, :3])


def test_statistics_are_of_what_has_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bands = rng.normal([[[5.0]], [[100.0]]], [[[1.0]], [[9.0]]], (2, 300, 200)).astype(np.float32)
    bands[1, :10] = np.nan
    bands[0, :20] = -9999
    file = write(tmp_path / "a.tif", bands, nodata=-9999)
    mean, std = band_statistics([file])
    assert mean == pytest.approx([bands[0, 20:].mean(), bands[1, 10:].mean()], rel=1e-3)
    assert std == pytest.approx([bands[0, 20:].std(), bands[1, 10:].std()], rel=1e-2)
    assert band_statistics([file], side=50)[0] == pytest.approx(mean, rel=0.02)  # fewer pixels
    flat = write(tmp_path / "flat.tif", np.full((1, 8, 8), 7, np.uint8))
    assert band_statistics([flat]) == ([7.0], [1.0])


def test_other_bands_are_refused(tmp_path: Path) -> None:
    two = write(tmp_path / "two.tif", np.zeros((2, 4, 4), np.uint8))
    three = write(tmp_path / "three.tif", np.zeros((3, 4, 4), np.uint8))
    with pytest.raises(PictureError, match="two.tif: 2 bands, expected 3"):
        LoadRaster([0] * 3, [1] * 3)(dict(img_path=str(two)))
    with pytest.raises(PictureError, match="three.tif: 3 bands, expected 2 as .*two.tif"):
        band_statistics([two, three])
    with pytest.raises(ConfigError, match="std above 0"):
        LoadRaster([0], [0])
