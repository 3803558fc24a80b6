"""Read a PNG from top to bottom, a few rows at a time, so that its size costs no memory.

A PNG holds its rows as differences to the row above. cv2 decodes them: each band of rows is put
into a small uncompressed PNG of its own, below the last row of the band before.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import cv2
import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6  # colour types
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
# Bytes of a pixel -> bits and colour type of a PNG that cv2 hands out as it is.
_CARRIERS = {1: (8, _GREY), 2: (16, _GREY), 3: (8, _RGB), 4: (8, _RGBA), 6: (16, _RGB)}
_CARRIERS[8] = (16, _RGBA)
_MAX_WIDTH = 1 << 20  # pixels; cv2 has this limit
_PIECE = 1 << 20  # bytes read from the file at once
_BAND = 1 << 23  # bytes decoded at once, if a row has no more


class PngRows:
    """The rows of a PNG that is not interlaced, as BGR.

    Of 16 bits the upper 8 are kept, as cv2 does; alpha is dropped; grey and palette become colour.

    Attributes:
        width: in pixels.
        height: in pixels.
        interlaced: whether it cannot be read by rows.

    Raises:
        ValueError, EOFError, zlib.error: the file is broken.
    """

    def __init__(self, file: BinaryIO) -> None:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            raise ValueError("no PNG signature")
        self._set_header(file)
        self._palette = np.zeros((256, 3), np.uint8)
        self._stream = self._start(file)
        self._left = self.height
        bits = self._depth * _CHANNELS[self._colour]
        self._row_bytes = (self.width * bits + 7) // 8
        self._pixel_bytes = max(bits // 8, 1)
        self._above = bytes(self._row_bytes)
        self._pending = b""
        self._inflate = zlib.decompressobj()

    def read(self, count: int) -> np.ndarray:
        """Return the next rows, (count, W, 3) uint8."""
        rows = np.empty((count, self.width, 3), np.uint8)
        band = max(_BAND // self._row_bytes, 1)
        for start in range(0, count, band):
            part = rows[start : start + band]
            part[:] = self._to_bgr(self._decode(len(part)))
        self._left -= count
        if not self._left:
            for _ in self._stream:  # checks the last sum
                pass
        return rows

    def _set_header(self, file: BinaryIO) -> None:
        kind, length = next(_chunks(file), (b"", 0))
        if kind != b"IHDR":
            raise ValueError("no PNG header")
        fields = struct.unpack(">IIBBBBB", b"".join(_content(file, kind, length)))
        self.width, self.height, self._depth, self._colour = fields[:4]
        self.interlaced = bool(fields[6])
        if self._colour not in _CHANNELS or self._depth not in (1, 2, 4, 8, 16):
            raise ValueError(f"colour type {self._colour} with {self._depth} bits is no PNG")
        if not 0 < self.width <= _MAX_WIDTH or self.height < 1:
            raise ValueError(f"it is {self.width} x {self.height}")

    def _start(self, file: BinaryIO) -> Iterator[bytes]:
        """Read up to the pixels and return an iterator over their compressed data."""
        for kind, length in _chunks(file):
            if kind == b"IDAT":
                return _compressed(file, length)
            data = b"".join(_content(file, kind, length))
            if kind == b"PLTE":
                colours = np.frombuffer(data, np.uint8).reshape(-1, 3)[:256]
                self._palette[: len(colours)] = colours[:, ::-1]
        raise EOFError("it ends before the pixels")

    def _inflated(self, size: int) -> bytes:
        """Return the next bytes of the filtered rows."""
        parts: list[bytes] = []
        while size:
            if not self._pending:
                self._pending = next(self._stream, b"")
            part = self._inflate.decompress(self._pending, size)
            if not part and not self._pending:
                raise EOFError("it ends before the last row")
            self._pending = self._inflate.unconsumed_tail
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _decode(self, count: int) -> np.ndarray:
        """Return rows as cv2 reads the carrier: (count, pixels) or (count, pixels, channels)."""
        filtered = self._inflated(count * (1 + self._row_bytes))
        depth, colour = _CARRIERS[self._pixel_bytes]
        size = (self._row_bytes // self._pixel_bytes, count + 1)
        carrier = SIGNATURE + b"".join(
            (
                chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)),
                chunk(b"IDAT", zlib.compress(b"\0" + self._above + filtered, 0)),
                chunk(b"IEND", b""),
            )
        )
        pixels = cv2.imdecode(np.frombuffer(carrier, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise ValueError("rows that cannot be decoded")
        self._above = _as_stored(pixels[-1])
        return pixels[1:]

    def _to_bgr(self, pixels: np.ndarray) -> np.ndarray:
        """Return (rows, W, 3) or (rows, W, 1) uint8 from the carrier's pixels."""
        if self._colour == _GREY_ALPHA:  # the carrier's first byte is grey
            pixels = pixels[..., 2] if pixels.ndim == 3 else pixels
        if pixels.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)
        if self._depth < 8:
            pixels = _unpack(pixels, self._depth)[:, : self.width]
            if self._colour == _GREY:
                pixels = pixels * np.uint8(255 // (2**self._depth - 1))
        if self._colour == _PALETTE:
            return self._palette[pixels]
        return pixels[..., :3] if pixels.ndim == 3 else pixels[..., None]


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield kind and length of each chunk, whose content is to be read before the next."""
    while True:
        head = file.read(8)
        if len(head) < 8:
            raise EOFError("it ends early")
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        yield kind, length


def _content(file: BinaryIO, kind: bytes, length: int) -> Iterator[bytes]:
    """Yield the content of a chunk in pieces and check its sum."""
    found = zlib.crc32(kind)
    while length:
        piece = file.read(min(length, _PIECE))
        if not piece:
            raise EOFError("it ends early")
        found = zlib.crc32(piece, found)
        length -= len(piece)
        yield piece
    if file.read(4) != struct.pack(">I", found):
        raise ValueError(f"the checksum of a {kind.decode('latin-1')} chunk is wrong")


def _compressed(file: BinaryIO, length: int) -> Iterator[bytes]:
    """Yield the content of the IDAT chunks; the first one's head has been read."""
    yield from _content(file, b"IDAT", length)
    for kind, length in _chunks(file):
        if kind != b"IDAT":
            return
        yield from _content(file, kind, length)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG as it is stored, with its sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _as_stored(row: np.ndarray) -> bytes:
    """Return a row of cv2's pixels as the bytes that a PNG holds."""
    if row.ndim == 2:
        row = row[:, [2, 1, 0, 3][: row.shape[1]]]
    return row.astype(row.dtype.newbyteorder(">")).tobytes()


def _unpack(packed: np.ndarray, depth: int) -> np.ndarray:
    """Return (rows, 8 / depth * columns) samples of 1, 2 or 4 bits from (rows, columns) bytes."""
    shifts = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
    samples = (packed[..., None] >> shifts) & np.uint8(2**depth - 1)
    return samples.reshape(len(packed), -1)
