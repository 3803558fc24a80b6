"""The orientation in a PNG's eXIf chunk: which way its stored pixels are to be turned.

cv2 decides it, on a PNG of four pixels with the same chunk, so that we and mmcv's loader agree
about every chunk: one that is damaged, behind the pixels, or there twice.
"""

import struct
import zlib
from typing import BinaryIO

import cv2
import numpy as np

from .png_rows import SIGNATURE, chunk

UPRIGHT = 1
_MAX_EXIF = 8 << 20  # bytes; libpng's limit
_CORNERS = np.array([[0, 1], [2, 3]], np.uint8)


def png_orientation(file: BinaryIO) -> int:
    """Return the EXIF orientation, 1 to 8, that cv2 applies to a PNG; reads no pixels."""
    chunks = _exif_chunks(file)
    if not chunks:
        return UPRIGHT
    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in _CORNERS)
    carrier = [SIGNATURE, chunk(b"IHDR", header), *chunks]
    carrier += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    pixels = cv2.imdecode(np.frombuffer(b"".join(carrier), np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        return UPRIGHT
    seen = pixels[..., 0].tolist()
    return next(o for o in range(1, 9) if turn(_CORNERS, o).tolist() == seen)


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return a view of stored pixels (H, W, ...) as they are to be seen; from 5 on (W, H, ...)."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _exif_chunks(file: BinaryIO) -> list[bytes]:
    """Return the eXIf chunks of a PNG as they are stored, their sums included."""
    file.seek(len(SIGNATURE))
    found: list[bytes] = []
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            break
        if kind == b"eXIf" and length <= _MAX_EXIF:
            found.append(head + file.read(length + 4))
        else:
            file.seek(length + 4, 1)
    return found
