"""Where the tiles of a large picture lie."""

from dataclasses import dataclass

import numpy as np

from fdam_mm.errors import UsageError


@dataclass(frozen=True)
class TileGrid:
    """Equal tiles, evenly spread, so that neighbours share at least the overlap asked for.

    Attributes:
        lefts: Left edges of the columns, ascending.
        tops: Top edges of the rows.
        width: Of each tile, at most the picture's.
        height: Likewise.
    """

    lefts: tuple[int, ...]
    tops: tuple[int, ...]
    width: int
    height: int

    @staticmethod
    def over(size: tuple[int, int], tile: int, overlap: int) -> "TileGrid":
        """Cover a picture of ``size`` (height, width) with tiles of side ``tile``.

        Raises:
            UsageError: ``tile`` is below 1, or ``overlap`` negative or not below it.
        """
        if tile < 1:
            raise UsageError(f"tile is {tile}, expected a side of 1 pixel or more")
        if not 0 <= overlap < tile:
            raise UsageError(f"overlap is {overlap}, expected 0 or more and less than {tile}")
        height, width = (min(side, tile) for side in size)
        return TileGrid(
            lefts=_starts(size[1], width, overlap),
            tops=_starts(size[0], height, overlap),
            width=width,
            height=height,
        )

    def __len__(self) -> int:
        return len(self.lefts) * len(self.tops)

    def windows(self) -> np.ndarray:
        """(N, 4) int64: left, top, right, bottom; row by row."""
        return np.array(
            [(x, y, x + self.width, y + self.height) for y in self.tops for x in self.lefts],
            dtype=np.int64,
        )


def blend_weights(starts: tuple[int, ...], side: int) -> list[np.ndarray]:
    """Weights (side,) of each tile along one axis: 1 where it is alone, ramps in the overlaps.

    Over any pixel the weights of all tiles sum to 1.
    """
    hat = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5  # distance to the nearer edge
    total = np.zeros(starts[-1] + side)
    for start in starts:
        total[start : start + side] += hat
    return [(hat / total[start : start + side]).astype(np.float32) for start in starts]


def _starts(length: int, side: int, overlap: int) -> tuple[int, ...]:
    if length <= side:
        return (0,)
    num = -(-(length - overlap) // (side - overlap))
    return tuple(round(i * (length - side) / (num - 1)) for i in range(num))
