"""What is refused of an upload, before it is decoded."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fdam_mm.demo import uploads
from fdam_mm.demo.uploads import read_upload
from fdam_mm.errors import PictureError


def test_a_picture(upload: Path, pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(read_upload(upload), pixels)


def test_an_orientation_is_followed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg", exif=exif)
    assert read_upload(tmp_path / "a.jpg").shape == (20, 10, 3)


def chunk(kind: bytes, content: bytes) -> bytes:
    ends = struct.pack(">I", len(content)), struct.pack(">I", zlib.crc32(kind + content))
    return ends[0] + kind + content + ends[1]


def png_of(width: int, height: int) -> bytes:
    """A header that promises pixels, and none of them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b""))


@pytest.mark.parametrize("side", [7000, 100_000])  # the second is above Pillow's own limit
def test_too_many_pixels(tmp_path: Path, side: int) -> None:
    (tmp_path / "bomb.png").write_bytes(png_of(side, side))
    with pytest.raises(PictureError, match=r"^bomb.png has more than 40 million pixels"):
        read_upload(tmp_path / "bomb.png")


def test_too_many_bytes(upload: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_BYTES", 1 << 10)
    with pytest.raises(PictureError, match=r"^photo.png has 0 MiB, expected at most 0"):
        read_upload(upload)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<VRTDataset></VRTDataset>"]
)
def test_what_is_no_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(PictureError, match=r"^a.tif is no picture that is read here"):
        read_upload(tmp_path / "a.tif")


def test_a_picture_that_is_cut_off(upload: Path) -> None:
    upload.write_bytes(upload.read_bytes()[:-500])
    with pytest.raises(PictureError, match=r"^photo.png: unreadable"):
        read_upload(upload)


def test_an_upload_that_was_deleted(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"^a.png is no longer kept"):
        read_upload(tmp_path / "a.png")
