"""Pictures that carry an orientation: read as mmcv's loader reads them in training."""

import io
import struct
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fdam_mm.data.pictures import png_rows
from fdam_mm.data.pictures import rows as picture_rows
from fdam_mm.data.pictures.labels import read_label_map
from fdam_mm.data.pictures.rows import PictureRows, picture_size, read_pixels, read_windows
from fdam_mm.data.pictures.windows import place_windows
from fdam_mm.errors import PictureError

mmcv = pytest.importorskip("mmcv")

ORIENTATIONS = range(1, 9)
TAG = 0x0112
# What is seen of [[0, 1], [2, 3]], after the EXIF standard.
SEEN = {
    1: [[0, 1], [2, 3]],
    2: [[1, 0], [3, 2]],
    3: [[3, 2], [1, 0]],
    4: [[2, 3], [0, 1]],
    5: [[0, 2], [1, 3]],
    6: [[2, 0], [3, 1]],
    7: [[3, 1], [2, 0]],
    8: [[1, 3], [0, 2]],
}


def blocks(height: int = 24, width: int = 40) -> np.ndarray:
    """(H, W, 3) uint8 with the four corners in shades of their own."""
    shades = np.array([[30, 100], [170, 240]], np.uint8)
    large = shades.repeat(height // 2, 0).repeat(width // 2, 1)
    return np.stack([large, large // 2, 255 - large], axis=2)


def save(file: Path, pixels: np.ndarray, orientation: int) -> Path:
    exif = Image.Exif()
    exif[TAG] = orientation
    settings = dict(lossless=True) if file.suffix == ".webp" else dict(quality=95)
    if file.suffix == ".tif":
        Image.fromarray(pixels).save(file, tiffinfo={TAG: orientation})
    else:
        Image.fromarray(pixels).save(file, exif=exif, **settings)
    return file


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_pixels_and_size_are_those_of_training(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    file = save(tmp_path / f"a.{suffix}", blocks(), orientation)
    expected = mmcv.imread(file)
    np.testing.assert_array_equal(read_pixels(file), expected)
    size = picture_size(file)
    assert size == picture_size(file, whole=True) == expected.shape[:2]
    assert (size.height, size.width) == expected.shape[:2]
    if suffix != "webp":  # whose tag cv2 does not apply
        height, width = size
        corners = read_pixels(file)[:: height - 1, :: width - 1, 2].astype(int)
        assert (corners // 70).tolist() == SEEN[orientation]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_kind_of_png(tmp_path: Path, mode: str, orientation: int) -> None:
    rng = np.random.default_rng(0)
    if mode == "I;16":
        picture = Image.fromarray(rng.integers(0, 65536, (24, 40), np.uint16))
    else:
        picture = Image.fromarray(rng.integers(0, 256, (24, 40, 4), np.uint8)).convert(mode)
    exif = Image.Exif()
    exif[TAG] = orientation
    picture.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png"), mmcv.imread(tmp_path / "a.png"))


def tiff_block(orientation: int, order: str = "<", kind: int = 3) -> bytes:
    """The content of an eXIf chunk with the orientation as a SHORT (3) or LONG (4)."""
    value = struct.pack(f"{order}H2x" if kind == 3 else f"{order}I", orientation)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, 1)
    return head + struct.pack(f"{order}HHI", TAG, kind, 1) + value + bytes(4)


EXIF = png_rows.chunk(b"eXIf", tiff_block(6))
XMP = b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta tiff:Orientation='6'/>"
ODD = {
    "big endian": (png_rows.chunk(b"eXIf", tiff_block(6, ">")), b""),
    "long": (png_rows.chunk(b"eXIf", tiff_block(6, "<", 4)), b""),
    "behind the pixels": (b"", EXIF),
    "two": (EXIF + png_rows.chunk(b"eXIf", tiff_block(3)), b""),
    "one on each side": (EXIF, png_rows.chunk(b"eXIf", tiff_block(3))),
    "0": (png_rows.chunk(b"eXIf", tiff_block(0)), b""),
    "9": (png_rows.chunk(b"eXIf", tiff_block(9)), b""),
    "noise": (png_rows.chunk(b"eXIf", b"noise" * 9), b""),
    "cut off": (png_rows.chunk(b"eXIf", tiff_block(6)[:15]), b""),
    "empty": (png_rows.chunk(b"eXIf", b""), b""),
    "in XMP, which cv2 does not read": (png_rows.chunk(b"iTXt", XMP), b""),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_chunks(tmp_path: Path, case: str) -> None:
    before, after = ODD[case]
    buffer = io.BytesIO()
    Image.fromarray(blocks()).save(buffer, "png")
    data = buffer.getvalue()
    file = tmp_path / "a.png"
    file.write_bytes(data[:33] + before + data[33:-12] + after + data[-12:])
    np.testing.assert_array_equal(read_pixels(file), mmcv.imread(file))


@pytest.mark.parametrize("orientation", [2, 6])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_windows_are_those_of_the_seen_picture(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    file = save(tmp_path / f"a.{suffix}", blocks(90, 150), orientation)
    seen = mmcv.imread(file)
    height, width = seen.shape[:2]
    for index, part in read_windows(file, windows := place_windows(width, height, [64], [10])):
        left, top, right, bottom = windows[index]
        np.testing.assert_array_equal(part, seen[top:bottom, left:right])


def test_a_large_turned_png_costs_no_memory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(png_rows, "_BAND", 1 << 17)
    monkeypatch.setattr(picture_rows, "_BAND", 1 << 17)
    file = save(tmp_path / "a.png", np.zeros((500, 20000, 3), np.uint8), 6)  # 30 MB
    tracemalloc.start()
    windows = place_windows(500, 20000, [256], [50])
    count = sum(1 for _ in read_windows(file, windows))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == len(windows) == 3 * 97
    assert peak < 3e6


def test_a_full_disk_is_no_broken_picture(tmp_path: Path, monkeypatch) -> None:
    file = save(tmp_path / "a.png", blocks(), 6)

    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fdam_mm.data.pictures.rows.tempfile.TemporaryFile", full)
    with pytest.raises(OSError, match="No space left") as raised, PictureRows(file) as rows:
        rows.read(1)
    assert not isinstance(raised.value, PictureError)


def test_a_label_map_with_an_orientation_is_refused(tmp_path: Path) -> None:
    """mmseg's loader does not turn it, but the picture beside it."""
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(read_label_map(save(tmp_path / "a.png", labels, 1)), labels)
    with pytest.raises(PictureError, match=r"b\.png: label map with the EXIF orientation 3"):
        read_label_map(save(tmp_path / "b.png", labels, 3))
    cv2.imwrite(str(tmp_path / "c.png"), labels)
    np.testing.assert_array_equal(read_label_map(tmp_path / "c.png"), labels)
