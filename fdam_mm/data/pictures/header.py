"""What a picture's header says: size, bands, depth, orientation; no pixels are decoded."""

import warnings
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from fdam_mm.toolkits.optional import importable

from .orientation import UPRIGHT, png_orientation
from .rasters import open_raster
from .rows import PictureSize, naming

_ORIENTATION, _WIDTH, _LENGTH = 274, 256, 257  # tags of EXIF and TIFF
# Pillow's modes: bands and depth
_MODES = {
    "1": (1, "bool"), "L": (1, "uint8"), "P": (1, "uint8"), "LA": (2, "uint8"),
    "PA": (2, "uint8"), "RGB": (3, "uint8"), "RGBA": (4, "uint8"), "RGBX": (4, "uint8"),
    "CMYK": (4, "uint8"), "YCbCr": (3, "uint8"), "LAB": (3, "uint8"), "I": (1, "int32"),
    "F": (1, "float32"),
}  # fmt: skip


class Header(NamedTuple):
    """What a header says.

    Attributes:
        size: As the picture is seen, turned as mmcv's loader turns it.
        bands: Channels as stored, alpha included.
        depth: Of a channel, as numpy's dtype; "bool" for 1 bit.
        orientation: EXIF's, 1 for upright; only where mmcv's loader follows it.
    """

    size: PictureSize
    bands: int
    depth: str
    orientation: int


def read_header(file: Path) -> Header:
    """Read a picture's header. TIFFs are read through rasterio where it is installed.

    Raises:
        PictureError: It is no picture, or its header is broken.
    """
    with naming(file), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        is_tiff = file.suffix.lower() in (".tif", ".tiff")
        if is_tiff and importable("rasterio"):
            return _tiff(file)
        with Image.open(file) as picture:
            width, height = picture.size
            bands, depth = _MODES.get(picture.mode, (len(picture.getbands()), "uint16"))
            if picture.format == "PNG":
                depth = "uint16" if _png_bits(file) == 16 else depth
                with file.open("rb") as stream:
                    orientation = png_orientation(stream)
            elif picture.format == "TIFF":
                tags = picture.tag_v2  # type: ignore[attr-defined]
                width, height = int(tags[_WIDTH]), int(tags[_LENGTH])
                orientation = int(tags.get(_ORIENTATION, UPRIGHT))
            elif picture.format in ("JPEG", "MPO"):
                exif = Image.Exif()
                exif.load(picture.info.get("exif", b""))
                orientation = exif.get(_ORIENTATION, UPRIGHT)
            else:
                orientation = UPRIGHT
    return _header(height, width, bands, depth, orientation)


def _tiff(file: Path) -> Header:
    with open_raster(file) as raster:
        height, width, bands = raster.height, raster.width, raster.count
        depth = str(raster.dtypes[0])
    orientation = UPRIGHT
    try:
        with Image.open(file) as picture:
            orientation = picture.tag_v2.get(_ORIENTATION, UPRIGHT)  # type: ignore[attr-defined]
    except (OSError, ValueError, SyntaxError, AttributeError):
        pass  # of many bands: Pillow does not know it
    return _header(height, width, bands, depth, orientation)


def _header(height: int, width: int, bands: int, depth: str, orientation: object) -> Header:
    turned = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else UPRIGHT
    size = PictureSize(width, height) if turned >= 5 else PictureSize(height, width)
    return Header(size, bands, depth, turned)


def _png_bits(file: Path) -> int:
    """Bits of a channel, the 25th byte: Pillow's modes do not tell colours of 16."""
    with file.open("rb") as stream:
        return stream.read(25)[-1]
