"""Segmentation tile by tile: logits are blended over the overlap.

Each tile's logits are weighted so that the weights of all tiles sum to 1 over any pixel. What is
kept is the strip that the next row of tiles still adds to, C x overlap x W, never the whole map.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from .grid import TileGrid, blend_weights


def blend_rows(
    tiles: Iterable[Tensor],
    grid: TileGrid,
    decide: Callable[[Tensor], Tensor],
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
    above: Tensor | None = None  # (C, rows shared with the row above, W)
    for row, top in enumerate(grid.tops):
        last_row = row + 1 == len(grid.tops)
        done = (grid.tops[row + 1] if not last_row else labels.shape[0]) - top
        below: Tensor | None = None
        beside: Tensor | None = None  # (C, height, columns shared with the tile on the left)
        for column, left in enumerate(grid.lefts):
            last_column = column + 1 == len(grid.lefts)
            right = grid.lefts[column + 1] if not last_column else labels.shape[1]
            part = _weighted(next(source), rows[row], columns[column])
            if beside is not None:
                part[:, :, : beside.shape[2]] += beside
            whole, beside = part[:, :, : right - left], part[:, :, right - left :]
            if above is not None:
                whole[:, : above.shape[1]] += above[:, :, left:right]
            labels[top : top + done, left:right] = decide(whole[:, :done]).cpu().numpy()
            if not last_row:
                if below is None:
                    shape = (part.shape[0], grid.height - done, labels.shape[1])
                    below = part.new_empty(shape)
                below[:, :, left:right] = whole[:, done:]
        above = below


def _weighted(logits: Tensor, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    weight = torch.from_numpy(np.outer(rows, columns)).to(logits.device)
    return logits.float() * weight
