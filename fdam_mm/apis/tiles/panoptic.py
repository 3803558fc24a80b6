"""Panoptic segmentation tile by tile: segments are sewn together over the overlap."""

import numpy as np

SHARED = 0.5  # IoU inside the overlap at which two things of a class are one


class Seams:
    """A panoptic map that grows tile by tile.

    Stuff of a class is one segment everywhere. A thing that a new tile shares with what is there
    (same class, IoU inside the overlap) goes on under its number. In the overlap the older tile's
    half stays: the seam runs through the middle.

    Attributes:
        ids: (H, W) int32, 0 for no segment.
        labels: Label of each number.
        things: Whether each number is a thing.
    """

    def __init__(self, ids: np.ndarray) -> None:
        self.ids = ids
        self.labels: dict[int, int] = {}
        self.things: dict[int, bool] = {}

    def add(
        self,
        tile: np.ndarray,
        labels: dict[int, int],
        things: dict[int, bool],
        corner: tuple[int, int],
        margins: tuple[int, int],
    ) -> None:
        """Put a tile in.

        Args:
            tile: (h, w) numbers of the tile's own segments, 0 for none.
            labels: Label of each of them.
            things: Whether each of them is a thing.
            corner: Left and top of the tile in the picture.
            margins: Columns on the left and rows at the top that older tiles have too.
        """
        left, top = corner
        here = self.ids[top : top + tile.shape[0], left : left + tile.shape[1]]
        numbers = {0: 0}
        for own in np.unique(tile[tile > 0]).tolist():
            numbers[own] = self._number(tile == own, labels[own], things[own], here)
        table = np.zeros(max(numbers) + 1, np.int32)
        for own, number in numbers.items():
            table[own] = number
        keep_x, keep_y = margins[0] // 2, margins[1] // 2
        here[keep_y:, keep_x:] = table[tile][keep_y:, keep_x:]

    def _number(self, mask: np.ndarray, label: int, thing: bool, here: np.ndarray) -> int:
        candidates = [n for n, known in self.labels.items() if known == label]
        if not thing and candidates:
            return candidates[0]
        best = self._best(mask, candidates, here) if thing else None
        number = best or len(self.labels) + 1
        self.labels[number], self.things[number] = label, thing
        return number

    def _best(self, mask: np.ndarray, candidates: list[int], here: np.ndarray) -> int | None:
        old = here > 0
        seen = mask & old
        if not seen.any():
            return None
        there, counts = np.unique(here[seen], return_counts=True)
        scores = {
            number: count / (np.count_nonzero((here == number) | seen))
            for number, count in zip(there.tolist(), counts.tolist(), strict=True)
            if number in candidates
        }
        best = max(scores, key=scores.__getitem__, default=None)
        return best if best is not None and scores[best] >= SHARED else None
