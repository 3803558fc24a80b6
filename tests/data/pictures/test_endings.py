"""JPEGs that are cut off are found, and no others."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fdam_mm.data.pictures.endings import require_whole_jpeg
from fdam_mm.errors import PictureError

RNG = np.random.default_rng(0)
PIXELS = Image.fromarray(RNG.integers(0, 256, (40, 50, 3), np.uint8))
KINDS = [dict(), dict(progressive=True), dict(restart_marker_rows=1)]


def encoded(kind: str = "JPEG", **settings: object) -> bytes:
    buffer = io.BytesIO()
    PIXELS.save(buffer, kind, **settings)
    return buffer.getvalue()


def with_thumbnail() -> bytes:
    """With a whole JPEG in a block before the pixels, as cameras put it."""
    exif = b"Exif\0\0" + encoded(quality=5)
    block = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    return b"\xff\xd8" + block + encoded()[2:]


@pytest.mark.parametrize("settings", KINDS, ids=str)
@pytest.mark.parametrize("rest", [b"", b"<html>"], ids=["cut", "text"])
def test_cut_off(settings: dict, rest: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    for data in (encoded(**settings), with_thumbnail()):
        file.write_bytes(data[: 2 * len(data) // 3] + rest)
        with pytest.raises(PictureError, match=r"a\.jpg: unreadable .*, expected a whole picture"):
            require_whole_jpeg(file)


@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_whole(settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, data = tmp_path / "a.jpg", encoded(**settings)
    for whole in (
        data,
        data + b"\0" * 37,
        data + b"behind it",
        data + data[:99],
        with_thumbnail(),
    ):
        file.write_bytes(whole)
        require_whole_jpeg(file)
    file.write_bytes(encoded()[:-2] + b"\0" * 50)  # all pixels, no marker: Pillow and cv2 read it
    require_whole_jpeg(file)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"no picture", encoded("PNG")[:300]])
def test_others_are_the_readers(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(data)
    if data[:2] == b"\xff\xd8":
        with pytest.raises(PictureError):
            require_whole_jpeg(file)
    else:
        require_whole_jpeg(file)
    require_whole_jpeg(tmp_path / "not_there.jpg")
