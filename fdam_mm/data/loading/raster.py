"""Loading pictures of any bands and depth."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from fdam_mm.data.pictures.rasters import read_bands
from fdam_mm.errors import ConfigError, PictureError


@TRANSFORMS.register_module()
class LoadRaster(BaseTransform):
    """Every band of a picture, normalised; ``LoadImageFromFile`` gives three of 8 bits.

    Bands keep the order of the file: set ``bgr_to_rgb=False`` of the data preprocessor, which
    takes no ``mean`` and ``std`` of other than three. Pixels without data are 0, as its padding.
    Files are read by rasterio (extra ``[geo]``).

    Required key: ``img_path``, or ``img`` (H, W, C) as :func:`read_bands` gives it. Added: ``img``
    (H, W, C) float32, ``img_shape``, ``ori_shape``.

    Args:
        mean, std: Of each band, in the file's own numbers.

    Raises:
        ConfigError: They are not of one length, or a ``std`` is not above 0.
        PictureError: When loading, where the file cannot be read, or has other bands; names it.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        if len(mean) != len(std) or not len(mean) or not min(std) > 0:
            raise ConfigError(
                f"LoadRaster: mean={mean}, std={std}, expected a mean and a std above 0 per band"
            )
        self.mean, self.std = np.array(mean, np.float32), np.array(std, np.float32)

    def transform(self, results: dict) -> dict:
        """Read ``img_path``; pixels that are there already, such as a window's, are taken."""
        file = results.get("img_path")
        pixels = results["img"] if "img" in results else read_bands(Path(file))
        if pixels.shape[-1] != len(self.mean):
            raise PictureError(
                f"{file or 'a picture'}: {pixels.shape[-1]} bands, expected {len(self.mean)} as "
                "LoadRaster's mean and std have"
            )
        pixels = np.nan_to_num((pixels - self.mean) / self.std)
        results["img"] = np.ascontiguousarray(pixels, np.float32)
        results["img_shape"] = results["ori_shape"] = pixels.shape[:2]
        return results


def loads_bands(dataset: Any) -> bool:
    """Whether a data set of mmengine's starts its pipeline with :class:`LoadRaster`."""
    steps = getattr(getattr(dataset, "pipeline", None), "transforms", None)
    return bool(steps) and isinstance(steps[0], LoadRaster)
