"""Reading pictures by rows: equal to decoding them at once, whatever the kind."""

import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fdam_mm.data.pictures import png_rows
from fdam_mm.data.pictures import rows as picture_rows
from fdam_mm.data.pictures.rows import PictureRows, pad_patch, picture_size
from fdam_mm.data.pictures.rows import read_windows as read
from fdam_mm.data.pictures.windows import place_windows
from fdam_mm.errors import PictureError

mmcv = pytest.importorskip("mmcv")

COLOUR_TYPES = {"grey": 0, "rgb": 2, "palette": 3, "grey_alpha": 4, "rgba": 6}
CHANNELS = {"grey": 1, "rgb": 3, "palette": 1, "grey_alpha": 2, "rgba": 4}
PALETTE = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
KINDS = [("grey", depth) for depth in (1, 2, 4, 8, 16)]
KINDS += [("palette", depth) for depth in (1, 2, 4, 8)]
KINDS += [(kind, depth) for kind in ("rgb", "grey_alpha", "rgba") for depth in (8, 16)]


@pytest.fixture(autouse=True)
def small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small pictures take many bands and pieces."""
    monkeypatch.setattr(png_rows, "_BAND", 1000)
    monkeypatch.setattr(png_rows, "_PIECE", 700)


def write_png(file: Path, samples: np.ndarray, kind: str, depth: int) -> Path:
    """Write (H, W, C) samples as they are, a different filter for each row; W * depth fills bytes.

    The filters' results are made up: any bytes are the differences of some picture.
    """
    height, width, _ = samples.shape
    rows = samples.astype(">u2" if depth == 16 else np.uint8)
    if depth < 8:
        bits = np.unpackbits(rows, axis=2)[..., -depth:].reshape(height, -1)
        raw = np.packbits(bits, axis=1)
    else:
        raw = rows.reshape(height, -1).view(np.uint8)
    filters = (np.arange(height, dtype=np.uint8) % 5)[:, None]
    data = zlib.compress(np.concatenate([filters, raw], axis=1).tobytes())
    header = struct.pack(">IIBBBBB", width, height, depth, COLOUR_TYPES[kind], 0, 0, 0)
    chunks = [(b"IHDR", header)]
    if kind == "palette":
        chunks.append((b"PLTE", PALETTE[: 2**depth].tobytes()))
    chunks += [(b"IDAT", data[start : start + 999]) for start in range(0, len(data), 999)]
    file.write_bytes(
        png_rows.SIGNATURE
        + b"".join(png_rows.chunk(*chunk) for chunk in [*chunks, (b"IEND", b"")])
    )
    return file


def draw(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def whole(file: Path) -> np.ndarray:
    with PictureRows(file) as rows:
        return rows.read(rows.height)


@pytest.mark.parametrize(("kind", "depth"), KINDS)
def test_png_as_cv2_reads_it(tmp_path: Path, kind: str, depth: int) -> None:
    shape = (61, 40, CHANNELS[kind])
    samples = np.random.default_rng(0).integers(0, 2**depth, shape)
    file = write_png(tmp_path / "a.png", samples, kind, depth)
    expected = cv2.imread(str(file), cv2.IMREAD_COLOR)
    assert expected is not None
    np.testing.assert_array_equal(whole(file), expected)
    with PictureRows(file) as rows:
        parts = [rows.read(count) for count in (1, 0, 7, 53)]
    np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_width_that_ends_within_a_byte(tmp_path: Path) -> None:
    pixels = draw(9, 13, 1)[..., 0] > 127
    Image.fromarray(pixels).save(tmp_path / "a.png", bits=1)
    assert (whole(tmp_path / "a.png") == 255 * pixels[..., None]).all()


def test_alpha_is_dropped_not_blended(tmp_path: Path) -> None:
    rgba = draw(20, 30, 4)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(whole(tmp_path / "a.png"), rgba[..., 2::-1])


def test_upper_bits_of_sixteen(tmp_path: Path) -> None:
    grey = np.array([[0, 255, 256, 65535]], np.uint16)
    for name in ("a.png", "a.tif"):
        cv2.imwrite(str(tmp_path / name), grey)
        assert whole(tmp_path / name)[0, :, 0].tolist() == [0, 0, 1, 255], name


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [("tif", mode) for mode in ("RGB", "RGBA", "L", "P", "CMYK", "1")]
    + [("bmp", mode) for mode in ("RGB", "RGBA", "L", "P", "1")]
    + [("jpg", mode) for mode in ("RGB", "L", "CMYK")]
    + [("webp", mode) for mode in ("RGB", "RGBA")],
)
def test_other_formats(tmp_path: Path, suffix: str, mode: str) -> None:
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(draw(20, 30, 4)).convert(mode).save(file)
    np.testing.assert_array_equal(whole(file), mmcv.imread(file))


def test_floating_point_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(PictureError, match=r"a\.tif: unreadable \(its pixels are of .* mode F"):
        whole(tmp_path / "a.tif")


def interlaced(file: Path) -> Path:
    """Write a grey interlaced PNG of 1 x 1: its only pass is the picture."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 1)
    data = zlib.compress(b"\0\x4d")
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    file.write_bytes(png_rows.SIGNATURE + b"".join(png_rows.chunk(*chunk) for chunk in chunks))
    return file


def test_interlaced(tmp_path: Path) -> None:
    assert whole(interlaced(tmp_path / "a.png")).tolist() == [[[0x4D] * 3]]


def test_windows_are_the_slices(tmp_path: Path) -> None:
    pixels = draw(130, 170)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    windows = place_windows(170, 130, [64, 100, 140], [20, 30, 50], min_content=0.1)
    seen = []
    for index, patch in read(tmp_path / "a.png", windows):
        left, top, right, bottom = windows[index]
        np.testing.assert_array_equal(patch, pixels[top:bottom, left:right])
        seen.append(index)
    assert sorted(seen) == list(range(len(windows)))


def test_windows_far_apart(tmp_path: Path) -> None:
    pixels = draw(100, 20)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    windows = np.array([[5, 80, 15, 90], [0, 10, 10, 20], [0, 12, 10, 15]])
    found = {index: patch.copy() for index, patch in read(tmp_path / "a.png", windows)}
    for index, (left, top, right, bottom) in enumerate(windows):
        np.testing.assert_array_equal(found[index], pixels[top:bottom, left:right])


def test_a_tall_picture_costs_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_rows, "_BAND", 1 << 17)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20000, 500, 3), np.uint8))  # 30 MB
    windows = place_windows(500, 20000, [256], [50])
    tracemalloc.start()
    count = sum(1 for _ in read(tmp_path / "a.png", windows))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == len(windows) == 3 * 97
    assert peak < 3e6


@pytest.mark.parametrize("where", [0.0, 0.3, 0.9, 0.999])
def test_cut_off(tmp_path: Path, where: float) -> None:
    for suffix in ("png", "jpg"):
        file = tmp_path / f"a.{suffix}"
        cv2.imwrite(str(file), draw(90, 70))
        file.write_bytes(file.read_bytes()[: int(file.stat().st_size * where)])
        with pytest.raises(PictureError, match=rf"a\.{suffix}: unreadable \(.*whole picture"):
            whole(file)


def test_one_wrong_byte(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), draw(90, 70))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[-30] ^= 1  # in the last rows
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(PictureError, match="checksum of a IDAT chunk|invalid|incorrect"):
        whole(tmp_path / "a.png")


def test_wrong_filter(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    data = zlib.compress(b"\0ab\x09cd")
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(
        png_rows.SIGNATURE + b"".join(png_rows.chunk(*chunk) for chunk in chunks)
    )
    with pytest.raises(PictureError, match="cannot be decoded"):
        whole(tmp_path / "a.png")


def test_no_picture(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(PictureError, match=r"text\.png: unreadable"):
        picture_size(tmp_path / "text.png")
    with pytest.raises(PictureError, match=r"none\.png: unreadable .*No such file"):
        picture_size(tmp_path / "none.png")


def test_too_large_to_be_decoded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_rows.Image, "MAX_IMAGE_PIXELS", 100)
    pixels = draw(20, 20)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    np.testing.assert_array_equal(whole(tmp_path / "a.png"), pixels)
    cv2.imwrite(str(tmp_path / "a.bmp"), pixels)
    with pytest.raises(PictureError, match=r"a\.bmp: too large .*expected a PNG"):
        picture_size(tmp_path / "a.bmp")


def test_padding() -> None:
    padded = pad_patch(np.full((2, 3, 3), 9, np.uint8), 4, (1, 2, 3))
    assert padded.shape == (4, 4, 3)
    assert (padded[:2, :3] == 9).all()
    assert (padded[2:] == (1, 2, 3)).all() and (padded[:, 3:] == (1, 2, 3)).all()
