"""Segmentation tile by tile: logits are blended over the overlap.

Each tile's logits are weighted so that the weights of all tiles sum to 1 over any pixel. What is
kept is the strip that the next row of tiles still adds to, C x overlap x W, never the whole map.
Tiles are torch's tensors or numpy's arrays: nothing here imports torch.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .grid import TileGrid, blend_weights

Map = Any
"""A tensor of torch, or an array of numpy."""


def blend_rows(
    tiles: Iterable[Map],
    grid: TileGrid,
    decide: Callable[[Map], np.ndarray],
    labels: np.ndarray,
) -> None:
    """Blend the logits of all tiles, decide, and fill ``labels``.

    Args:
        tiles: (C, height, width) logits of each tile, row by row, as :meth:`TileGrid.windows`.
        grid: Of the tiles.
        decide: Blended logits (C, h, w) -> labels (h, w).
        labels: (H, W), filled in place.
    """
    columns = blend_weights(grid.lefts, grid.width)
    rows = blend_weights(grid.tops, grid.height)
    source = iter(tiles)
    above: list[Map] = []  # of each column, (C, rows shared with the row above, its own width)
    for row, top in enumerate(grid.tops):
        last_row = row + 1 == len(grid.tops)
        done = (grid.tops[row + 1] if not last_row else labels.shape[0]) - top
        below: list[Map] = []
        beside: Map | None = None  # (C, height, columns shared with the tile on the left)
        for column, left in enumerate(grid.lefts):
            last_column = column + 1 == len(grid.lefts)
            right = grid.lefts[column + 1] if not last_column else labels.shape[1]
            part = _weighted(next(source), rows[row], columns[column])
            if beside is not None:
                part[:, :, : beside.shape[2]] += beside
            whole, beside = part[:, :, : right - left], part[:, :, right - left :]
            if above:
                whole[:, : above[column].shape[1]] += above[column]
            labels[top : top + done, left:right] = decide(whole[:, :done])
            below.append(_copy(whole[:, done:]))
        above = below


def _weighted(logits: Map, rows: np.ndarray, columns: np.ndarray) -> Map:
    weight = np.outer(rows, columns)
    if isinstance(logits, np.ndarray):
        return logits.astype(np.float32) * weight
    logits = logits.float()
    return logits * logits.new_tensor(weight)


def _copy(strip: Map) -> Map:
    """A view would keep its whole tile in memory."""
    return strip.copy() if isinstance(strip, np.ndarray) else strip.clone()
