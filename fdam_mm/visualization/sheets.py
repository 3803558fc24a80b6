"""Contact sheets: many pictures in one, each with a line of text below it; all are RGB."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

_GAP = 6  # pixels between tiles
_LINE = 18  # pixels of the text below a tile
_PAPER, _INK = (255, 255, 255), (20, 20, 20)
_LETTER_SIZE, _LETTER = 0.4, 7.2  # of cv2's font, and about the width of a letter in pixels


class Tile(NamedTuple):
    """A picture (H, W, 3) uint8 of any size, and what is said below it."""

    image: np.ndarray
    text: str


def contact_sheet(
    tiles: Sequence[Tile], columns: int, side: int, names: Sequence[str] = ()
) -> np.ndarray:
    """Lay tiles out in rows, (H, W, 3) uint8.

    Args:
        tiles: In the order of reading; there must be one.
        columns: Tiles in a row.
        side: Pixels of each tile's width and height, into which its picture is fitted.
        names: One for each row, written at its left.
    """
    left = 0 if not names else int(_LETTER * min(24, max(map(len, names)))) + 2 * _GAP
    rows = -(-len(tiles) // columns)
    height = _GAP + rows * (side + _LINE + _GAP)
    sheet = np.full((height, left + _GAP + columns * (side + _GAP), 3), _PAPER, np.uint8)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top = _GAP + row * (side + _LINE + _GAP)
        x = left + _GAP + column * (side + _GAP)
        fitted = _fit(tile.image, side)
        y = top + (side - fitted.shape[0]) // 2
        inset = x + (side - fitted.shape[1]) // 2
        sheet[y : y + fitted.shape[0], inset : inset + fitted.shape[1]] = fitted
        _write(sheet, _shorten(tile.text, side), x, top + side + 13)
        if names and column == 0:
            _write(sheet, names[row][:24], _GAP, top + side // 2)
    return sheet


def _fit(image: np.ndarray, side: int) -> np.ndarray:
    """The picture in a square of ``side``, its shape kept."""
    factor = side / max(image.shape[:2])
    size = [max(1, round(length * factor)) for length in image.shape[1::-1]]
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    return cv2.resize(image, size, interpolation=way)


def _shorten(text: str, width: int) -> str:
    most = int(width / _LETTER)
    return text if len(text) <= most else f"{text[: most - 2]}.."


def _write(sheet: np.ndarray, text: str, x: int, y: int) -> None:
    plain = text.encode("ascii", "replace").decode()  # cv2's font has no others
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(sheet, plain, (x, y), font, _LETTER_SIZE, _INK, 1, cv2.LINE_AA)
