"""Windows over a large picture, where mmrotate's splitter puts them."""

from collections.abc import Sequence

import numpy as np

_TIE = 0.01  # sizes whose content is this close to the best one's count as equally good


def place_windows(
    width: int,
    height: int,
    sizes: Sequence[int],
    overlaps: Sequence[int],
    min_content: float = 0.6,
) -> np.ndarray:
    """Cover a picture with square windows; the last of a row or column moves back to the border.

    A window that is larger than the picture sticks out to the right or below. Its content is the
    share of its area inside the picture, the same for all windows of one size. Sizes with too
    little content are left out; if that is all of them, the best stay.

    Args:
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        sizes: sides of the windows.
        overlaps: pixels that neighbours share, one number for each size.
        min_content: windows need more content than this.

    Returns:
        (N, 4) int64: left, top, right, bottom; by size, then from left to right, top to bottom.

    Raises:
        ValueError: an overlap is not smaller than its size, or a number is out of range.
    """
    if min(width, height) < 1:
        raise ValueError(f"the picture is {width} x {height}, expected at least 1 x 1")
    contents = [min(width, size) * min(height, size) / size**2 for size in sizes]
    limit = min_content
    if max(contents) <= min_content:
        limit = max(contents) - _TIE
    windows: list[tuple[int, int, int, int]] = []
    for size, overlap, content in zip(sizes, overlaps, contents, strict=True):
        lefts, tops = _starts(width, size, overlap), _starts(height, size, overlap)
        if content > limit:
            windows += [(left, top, left + size, top + size) for left in lefts for top in tops]
    return np.array(windows, dtype=np.int64)


def _starts(length: int, size: int, overlap: int) -> list[int]:
    """Return where the windows start along a side of the picture."""
    if not 0 <= overlap < size:
        raise ValueError(f"the overlap is {overlap}, expected 0 or more and less than {size}")
    if length <= size:
        return [0]
    last = length - size
    return [*range(0, last, size - overlap), last]
