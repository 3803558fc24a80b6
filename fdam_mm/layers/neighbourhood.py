"""Neighbourhood attention (arXiv 2204.07143), also dilated (2209.15001), in plain PyTorch.

Queries are cut into tiles. A tile's keys lie in one region of the map, a little larger than the
tile, so that products of matrices do the work; within it each query sees its own window alone.

Legend of the shape comments: B batch, h heads, H x W map, c channels of a head, k kernel size, D
dilation; n x m the grid of one residue class modulo D; per axis T tiles of t queries with regions
of r keys.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .autocast import float32_island
from .compiling import in_no_mode
from .fused import is_differentiated, is_exporting, plain_backward


@dataclass(frozen=True)
class Axis:
    """How one axis is cut.

    Args:
        length: Positions on the map.
        dilation: D; a class has every D-th position.
        size: Positions n of the longest class; the others have one less.
        tiles: T.
        tile: t.
        front: Places before the first position in the first tile, which no query has.
        reach: Places before a tile in its region.
        region: r.
    """

    length: int
    dilation: int
    size: int
    tiles: int
    tile: int
    front: int
    reach: int
    region: int

    @property
    def places(self) -> int:
        """Places of queries in all tiles."""
        return self.tiles * self.tile


def neighbourhood_attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, dilation: int = 1
) -> Tensor:
    """Attention of each position to the k x k nearest of its own residue class modulo D.

    A window never leaves the map: at a border it slides inward. The logit of query i and key j is
    ``q_i . k_j / sqrt(c) + bias[head, (j - i) / D + k - 1]``, the index for each axis.

    On a GPU natten does it where a version is installed that has the bias (0.14 to 0.19).

    Args:
        q: Queries, (B, h, H, W, c).
        k: Keys, the same shape.
        v: Values, the same shape.
        bias: Of relative positions, (h, 2k - 1, 2k - 1), k odd.
        dilation: D.

    Returns:
        (B, h, H, W, c).

    Raises:
        ValueError: The map is smaller than k * D.
    """
    kernel_size = (bias.shape[-1] + 1) // 2
    height, width = (int(side) for side in q.shape[2:4])  # tracing has tensors here
    if min(height, width) < kernel_size * dilation:
        raise ValueError(
            f"the map is {height} x {width}, smaller than kernel_size * dilation = "
            f"{kernel_size * dilation}; pad it"
        )
    if q.is_cuda and not is_exporting() and natten_functions() is not None:
        return by_natten(q, k, v, bias, dilation)
    rows = cut_axis(height, kernel_size, dilation, kernel_size // 2 + 1)
    cols = cut_axis(width, kernel_size, dilation, kernel_size)  # wider: fewer, larger products
    queries = _tiles(_classes(q * q.shape[-1] ** -0.5, rows, cols), rows, cols)
    regions = _plain_regions if is_exporting() else _Regions.apply
    keys, values = (regions(_classes(x, rows, cols), rows, cols) for x in (k, v))
    logits = queries @ keys.transpose(-2, -1)  # (B, D, D, h, T, T, t * t, r * r)
    logits = logits + _tiled_bias(bias, kernel_size, rows, cols)
    return _untile(logits.softmax(-1) @ values, rows, cols)


@lru_cache(maxsize=1)
def natten_functions() -> Any:
    """natten's functions, if it is installed and has relative position biases, else None."""
    try:
        from natten import functional
    except (ImportError, OSError):  # none, or one that was compiled for another torch
        return None
    return functional if hasattr(functional, "natten2dqkrpb") else None


def by_natten(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """:func:`neighbourhood_attention` by natten's operations."""
    functions, kernel_size = natten_functions(), (bias.shape[-1] + 1) // 2
    q, k, v = (x.contiguous() for x in (q * q.shape[-1] ** -0.5, k, v))
    logits = functions.natten2dqkrpb(q, k, bias, kernel_size, dilation)
    return functions.natten2dav(logits.softmax(-1), v, kernel_size, dilation)


@lru_cache(maxsize=256)
def cut_axis(length: int, kernel_size: int, dilation: int, least: int) -> Axis:
    """The cut of an axis for which the fewest pairs of queries and keys are looked at.

    Tiles have at least ``least`` places. The first and the last need more than half a window of
    queries, else the windows that slide inward at the border would leave the tile's region.
    """
    size, shorter = -(-length // dilation), length // dilation
    half = kernel_size // 2
    best = Axis(length, dilation, size, 1, size, 0, 0, size)
    for tile in range(least, size):
        tiles = -(-size // tile)
        spare = tiles * tile - size
        front = min(spare // 2, tile - half - 1)
        back = tiles * tile - front - shorter
        region = tile + 2 * half
        if tiles > 1 and tile - back > half and tiles * tile * region < best.places * best.region:
            best = Axis(length, dilation, size, tiles, tile, front, half, region)
    return best


def _classes(x: Tensor, rows: Axis, cols: Axis) -> Tensor:
    """Positions by residue class, short ones padded: (B, h, H, W, c) -> (B, D, D, h, n, m, c)."""
    dilation = rows.dilation
    if dilation == 1:
        return x[:, None, None]
    pad_h, pad_w = (axis.size * dilation - axis.length for axis in (rows, cols))
    if pad_h or pad_w:
        x = F.pad(x, (0, 0, 0, pad_w, 0, pad_h))
    x = x.unflatten(3, (-1, dilation)).unflatten(2, (-1, dilation))  # (B, h, n, D, m, D, c)
    return x.permute(0, 3, 5, 1, 2, 4, 6)


def _tiles(x: Tensor, rows: Axis, cols: Axis) -> Tensor:
    """(B, D, D, h, n, m, c) -> (B, D, D, h, T, T, t * t, c)."""
    pads = [(axis.front, axis.places - axis.front - axis.size) for axis in (cols, rows)]
    if any(map(any, pads)):
        x = F.pad(x, (0, 0, *pads[0], *pads[1]))
    x = x.unflatten(5, (cols.tiles, cols.tile)).unflatten(4, (rows.tiles, rows.tile))
    return x.transpose(5, 6).flatten(6, 7)


class _Regions(torch.autograd.Function):
    """:func:`_plain_regions` with a faster gradient than that of ``Tensor.unfold`` on a CPU."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, rows: Axis, cols: Axis) -> Tensor:
        return _plain_regions(x, rows, cols)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Axis, Axis], output: Tensor) -> None:
        ctx.shape, ctx.rows, ctx.cols = inputs[0].shape, *inputs[1:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if is_differentiated():
            plain = partial(_plain_regions, rows=ctx.rows, cols=ctx.cols)
            return *plain_backward(plain, [grad.new_zeros(ctx.shape)], grad), None, None
        return _sum_of_regions(grad, ctx.rows, ctx.cols), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        return _plain_regions(tangent, ctx.rows, ctx.cols)


def _plain_regions(x: Tensor, rows: Axis, cols: Axis) -> Tensor:
    """What each tile may see: (B, D, D, h, n, m, c) -> (B, D, D, h, T, T, r * r, c)."""
    pads = []
    for axis in (cols, rows):
        front = axis.front + axis.reach
        pads += [front, axis.places - axis.tile + axis.region - front - axis.size]
    if any(pads):
        x = F.pad(x, (0, 0, *pads))
    x = x.unfold(4, rows.region, rows.tile).unfold(5, cols.region, cols.tile)
    return x.movedim(6, 8).flatten(6, 7)


def _sum_of_regions(x: Tensor, rows: Axis, cols: Axis) -> Tensor:
    """The transpose of :func:`_plain_regions`: every position's sum over the regions it is in."""
    x = x.unflatten(6, (rows.region, cols.region)).transpose(5, 6)
    # (B, D, D, h, T, r, T, r, c); a region is cut into pieces of a tile, added tile by tile
    num_rows, num_cols = (-(-axis.region // axis.tile) for axis in (rows, cols))
    grid = (rows.tiles + num_rows - 1, rows.tile, cols.tiles + num_cols - 1, cols.tile)
    total = x.new_zeros(*x.shape[:4], *grid, x.shape[-1])
    for i in range(num_rows):
        along_rows = x[..., i * rows.tile : (i + 1) * rows.tile, :, :, :]
        for j in range(num_cols):
            piece = along_rows[..., j * cols.tile : (j + 1) * cols.tile, :]
            part = total[..., i : i + rows.tiles, : piece.shape[-4], j : j + cols.tiles, :, :]
            part[..., : piece.shape[-2], :] += piece
    total = total.flatten(6, 7).flatten(4, 5)
    row, col = rows.front + rows.reach, cols.front + cols.reach
    return total[..., row : row + rows.size, col : col + cols.size, :]


def _tiled_bias(bias: Tensor, kernel_size: int, rows: Axis, cols: Axis) -> Tensor:
    """Biases, and minus infinity out of the window: (D or 1, D or 1, h, T, T, t * t, r * r)."""
    (row, row_of), (col, col_of) = (
        tuple(t.to(bias.device) for t in _patterns(axis, kernel_size)) for axis in (rows, cols)
    )
    with float32_island(bias):
        one_hot = [F.one_hot(x.clamp(min=0), 2 * kernel_size - 1).to(bias) for x in (row, col)]
        # (h, patterns * t * r of rows, of cols): a product, so that its gradient is one too
        found = one_hot[0].flatten(0, 2) @ bias @ one_hot[1].flatten(0, 2).t()
    outside = (row.flatten() < 0)[:, None] | (col.flatten() < 0)
    found = found.masked_fill(outside, -torch.inf).unflatten(2, col.shape).unflatten(1, row.shape)
    found = found.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4).flatten(1, 2)
    which = row_of[:, None, :, None] * len(col) + col_of[:, None]  # (D or 1, D or 1, T, T)
    tiled = found.index_select(1, which.flatten()).unflatten(1, which.shape)
    return tiled.movedim(0, 2)


@lru_cache(maxsize=256)
def _patterns(axis: Axis, kernel_size: int) -> tuple[Tensor, Tensor]:
    """The different (t, r) of :func:`_offsets`, and which of them each tile has (D or 1, T)."""

    def build() -> tuple[Tensor, Tensor]:
        offsets = _offsets(axis, kernel_size)
        patterns, which = offsets.flatten(0, 1).unique(dim=0, return_inverse=True)
        return patterns, which.view(offsets.shape[:2])

    return in_no_mode(build)


def _offsets(axis: Axis, kernel_size: int) -> Tensor:
    """``key - query + k - 1`` where the key is in the query's window, -1 elsewhere.

    Returns:
        (D, T, t, r); where all classes are of one length (1, T, t, r). Places without a query see
        the whole region; nobody looks at what they get.
    """
    num_long = axis.length - (axis.size - 1) * axis.dilation
    sizes = [axis.size - (residue >= num_long) for residue in range(axis.dilation)]
    size = torch.tensor(sizes if num_long < axis.dilation else sizes[:1]).view(-1, 1, 1, 1)
    tile = torch.arange(axis.tiles).view(1, -1, 1, 1) * axis.tile - axis.front
    query = tile + torch.arange(axis.tile).view(1, 1, -1, 1)
    key = tile - axis.reach + torch.arange(axis.region)
    start = (query - kernel_size // 2).clamp(min=0).minimum(size - kernel_size)
    seen = (key >= start) & (key < start + kernel_size)
    offset = (key - query + kernel_size - 1).clamp(0, 2 * kernel_size - 2)
    return offset.where(seen | (query < 0) | (query >= size), -1)


def _untile(x: Tensor, rows: Axis, cols: Axis) -> Tensor:
    """Undo :func:`_tiles` and :func:`_classes`: -> (B, h, H, W, c)."""
    x = x.unflatten(6, (rows.tile, cols.tile)).transpose(5, 6).flatten(6, 7).flatten(4, 5)
    x = x[:, :, :, :, rows.front : rows.front + rows.size]
    x = x[:, :, :, :, :, cols.front : cols.front + cols.size]  # (B, D, D, h, n, m, c)
    x = x.permute(0, 3, 4, 1, 5, 2, 6).flatten(4, 5).flatten(2, 3)
    return x[:, :, : rows.length, : cols.length]
