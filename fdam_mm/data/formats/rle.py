"""COCO's run-length masks: `size` (height and width) and `counts`, the lengths of the runs.

They are of 0 and 1 in turn, down the columns; a list, or compressed to a text.

pycocotools trusts what it decodes: it ends the process on some sizes and takes counts of too few
pixels. Here both are errors.
"""

import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from fdam_mm.errors import LabelError

_LONGEST = 12  # characters of a number, of 5 bits each: what 64 bits hold


def decode_rle(rle: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    """The mask (height, width), uint8 0 or 1.

    Raises:
        LabelError: as for `rle_runs`.
    """
    runs = rle_runs(rle, height, width)
    values = np.arange(len(runs), dtype=np.uint8) & 1
    return np.repeat(values, runs).reshape(width, height).T


def rle_runs(rle: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    """The lengths of the runs, int64.

    Raises:
        LabelError: it is of another size, or its runs are broken.
    """
    size = rle.get("size")
    if size != [height, width] and size != (height, width):
        raise LabelError(
            f"RLE of size {reprlib.repr(size)}, expected {[height, width]}, the height and width "
            "of the picture"
        )
    counts = rle.get("counts")
    runs = _decompress(counts) if isinstance(counts, str | bytes) else _whole_numbers(counts)
    pixels = height * width
    if runs is None or not np.all((runs >= 0) & (runs <= pixels)) or runs.sum() != pixels:
        raise LabelError(f"a broken RLE, expected counts of {pixels} pixels in all, none below 0")
    return runs


def _whole_numbers(counts: Any) -> np.ndarray | None:
    if not isinstance(counts, list | tuple | np.ndarray):
        return None
    try:
        runs = np.asarray(counts, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    whole = runs.ndim == 1 and np.isfinite(runs).all() and (np.abs(runs) < 2**53).all()
    return runs.astype(np.int64) if whole and (runs == np.floor(runs)).all() else None


def _decompress(text: str | bytes) -> np.ndarray | None:
    """The runs in a compressed text, None where it is not whole.

    A number takes 5 bits of each character, lowest first, with a bit for "more to come" above
    them, and its sign in its last bit. From the fourth on it is the difference to the last but
    one.
    """
    try:
        data = text.encode("ascii") if isinstance(text, str) else text
    except UnicodeEncodeError:
        return None
    codes = np.frombuffer(data, dtype=np.uint8).astype(np.int64) - 48  # 0 .. 63
    if not len(codes):
        return np.zeros(0, dtype=np.int64)
    last = (codes & 32) == 0
    ends = np.flatnonzero(last)
    if codes.min() < 0 or codes.max() > 63 or not last[-1]:
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST:
        return None
    places = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    numbers = np.add.reduceat((codes & 31) << places, starts)
    numbers -= ((codes[ends] & 16) > 0) * (1 << 5 * lengths)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
