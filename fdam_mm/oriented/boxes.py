"""Rotated boxes of a picture; needs numpy alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class OrientedBoxes:
    """Rotated boxes of one picture.

    Attributes:
        boxes: (N, 5) float: centre x, centre y, width, height in pixels, angle in radians
            (clockwise).
        scores: (N,) float.
        labels: (N,) ints, indices of the classes.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, indices: np.ndarray) -> "OrientedBoxes":
        """Return some of the boxes."""
        return OrientedBoxes(self.boxes[indices], self.scores[indices], self.labels[indices])

    def corners(self) -> np.ndarray:
        """Return the corners' x and y, (N, 4, 2), from the unturned box's top left clockwise."""
        boxes = self.boxes.astype(np.float64)
        cosine, sine = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
        along = np.stack([cosine, sine], axis=1)[:, None] * boxes[:, None, 2:3] / 2
        across = np.stack([-sine, cosine], axis=1)[:, None] * boxes[:, None, 3:4] / 2
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])  # (4, 2)
        return boxes[:, None, :2] + signs[:, :1] * along + signs[:, 1:] * across


def join(parts: Sequence[OrientedBoxes]) -> OrientedBoxes:
    """Put the boxes of several into one."""
    empty = OrientedBoxes(np.zeros((0, 5)), np.zeros(0), np.zeros(0, np.int64))
    parts = parts or [empty]
    return OrientedBoxes(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )
