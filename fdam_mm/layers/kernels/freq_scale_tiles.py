"""What FreqScale's kernels multiply by on a grid, and how they are cut into programs."""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor
from torch.nn import functional as F

from ..fourier import fourier_matrix, num_cosines, resize_matrix


class Constants(NamedTuple):
    """What the kernels multiply by, on one grid: float32, padded with zeros."""

    rows: Tensor  # (2, MH, HP): Fourier matrix of H, cosines and sines
    cols: Tensor  # (2, MW, WP): of W
    even: Tensor  # (2, MH, SP): resize along H, mean of ±k, for the rows of `rows`
    odd: Tensor  # (1, MH, SP): half difference, zero where the frequency has no sine
    across: Tensor  # (2, MW, TP): resize along W, for the rows of `cols`


@lru_cache(maxsize=64)
def constants(height: int, width: int, side: int, device: torch.device) -> Constants:
    """Built in a thread of its own, and so as ordinary tensors whatever the first call runs in."""

    def build() -> Constants:
        return Constants(*(t.float().to(device).contiguous() for t in _build(height, width, side)))

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(build).result()


def _build(height: int, width: int, side: int) -> Constants:
    positive = resize_matrix(side, height)  # (H, S), rows in FFT order
    negative = positive[-torch.arange(height) % height]
    across = resize_matrix(side // 2 + 1, num_cosines(width))  # (K_w, S // 2 + 1)
    even, odd = (positive + negative) / 2, (positive - negative) / 2
    paired = (height + 1) // 2  # frequencies from 0 to below half the side
    found = Constants(
        rows=_cosines_and_sines(height),
        cols=_cosines_and_sines(width),
        even=_with_highest(even[: num_cosines(height)], height),
        odd=torch.cat([torch.zeros(1, side), odd[1:paired]])[None],
        across=_with_highest(across, width),
    )
    return Constants(*(F.pad(t, _padding(t)) for t in found))


def _cosines_and_sines(n: int) -> Tensor:
    """(2, M, n) with M half of n, rounded up."""
    matrix, num = fourier_matrix(n), num_cosines(n)
    half = (n + 1) // 2
    highest = matrix[half:num] if n % 2 == 0 else torch.zeros(1, n)
    return torch.stack([matrix[:half], torch.cat([highest, matrix[num:]])])


def _with_highest(of_cosines: Tensor, n: int) -> Tensor:
    """What belongs to the cosines of a side n, (K, S) -> (2, M, S) for cosines and sines."""
    half = (n + 1) // 2
    highest = of_cosines[half:] if n % 2 == 0 else torch.zeros(1, of_cosines.shape[1])
    return torch.stack([of_cosines[:half], torch.cat([highest, of_cosines[1:half]])])


def _padding(t: Tensor) -> tuple[int, int, int, int]:
    return 0, padded(t.shape[2]) - t.shape[2], 0, padded(t.shape[1]) - t.shape[1]


def padded(size: int) -> int:
    """The side of a tile: a power of two, at least 16 as products need."""
    return max(16, triton.next_power_of_2(size))


class Tile(NamedTuple):
    """How a kernel is cut: channels and warps of a program, and the most registers of a thread."""

    channels: int
    warps: int
    registers: int | None = None


# Of each kernel for TF32 products and for those close to float32, on tiles of 16 and of 32: on an
# H100 the fastest that benchmarks/tune_kernels.py tried, of those whose shared memory fits on the
# GPUs of Ampere and Ada too.
TILES = {
    ("scale", "tf32", 16): Tile(8, 8, 128),
    ("scale", "tf32", 32): Tile(8, 4),
    ("scale", "tf32x3", 16): Tile(8, 4),
    ("scale", "tf32x3", 32): Tile(8, 4),
    ("scale_backward", "tf32", 16): Tile(8, 4),
    ("scale_backward", "tf32", 32): Tile(4, 4),
    ("scale_backward", "tf32x3", 16): Tile(8, 4),
    ("scale_backward", "tf32x3", 32): Tile(8, 8),
}


def launch_options(
    kernel: str, height: int, width: int, bases: tuple[int, ...], exact: bool
) -> dict[str, Any]:
    """The constants of a kernel and its warps, for bases (f, c, S, S // 2 + 1).

    ``exact`` keeps products close to float32, by three of TF32; else one of TF32 serves.
    """
    filters, group, side, _ = bases
    precision = "tf32x3" if exact else "tf32"
    tile = TILES[kernel, precision, max(padded(height), padded(width))]
    options = {} if tile.registers is None else dict(maxnreg=tile.registers)
    return options | dict(
        SIDE=side,
        FILTERS=filters,
        HP=padded(height),
        WP=padded(width),
        SP=padded(side),
        TP=padded(side // 2 + 1),
        MH=padded((height + 1) // 2),
        MW=padded((width + 1) // 2),
        ONE_GROUP=group % tile.channels == 0,
        CHANNELS=tile.channels,
        PRECISION=precision,
        num_warps=tile.warps,
    )
