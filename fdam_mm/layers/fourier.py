"""The constant matrices of the frequency-domain layers.

A real weight on the half spectrum of ``rfft2`` is a real linear map, so it can be applied with
real orthonormal Fourier matrices: two batched products in the place of an FFT and its inverse.
This is exact, runs on tokens without a transpose, and exports.

Legend: n a side of the grid, K = n // 2 + 1 cosines, n - K sines, S the side of the stored bases.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .compiling import constant_when_compiled, in_no_mode
from .fused import is_exporting


def num_cosines(n: int) -> int:
    """Cosine rows of :func:`fourier_matrix`: frequencies 0 to n // 2."""
    return n // 2 + 1


def num_sines(n: int) -> int:
    """Sine rows: frequencies 1 to (n - 1) // 2, those whose negative is another frequency."""
    return (n - 1) // 2


def fourier_matrix(n: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Real orthonormal Fourier matrix, (n, n): cosine rows, then sine rows."""
    k = torch.arange(n // 2 + 1)
    turns = torch.outer(k, torch.arange(n)) % torch.full((), n)  # whole: exact also in float32
    angle = turns.to(dtype) * (2 * math.pi) / n
    unpaired = (k == 0) | (2 * k == n)
    norm = ((2 - unpaired.to(dtype)) / n).sqrt().unsqueeze(1)
    return torch.cat([norm * angle.cos(), (norm * angle.sin())[1 : 1 + num_sines(n)]])


def resize_matrix(size_in: int, size_out: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Bicubic resize with ``align_corners=True`` as a matrix, (size_out, size_in)."""
    eye = torch.eye(size_in, dtype=dtype)
    size = (size_out, size_in)
    return F.interpolate(eye[None, None], size=size, mode="bicubic", align_corners=True)[0, 0]


class FourierGrid(NamedTuple):
    """The constants of one grid (H, W) and one filter size S.

    The resized half spectrum has a weight M₊ at (+k_h, k_w) and M₋ at (-k_h, k_w). Products of
    cosines and sines need ``A = (M₊ + M₋) / 2``, and ``D = (M₊ - M₋) / 2`` where both frequencies
    are paired, that is, have a sine; a side of 1 or 2 has no paired one.
    """

    rows: Tensor  # (H, H) Fourier matrix
    cols: Tensor  # (W, W)
    even_rows: Tensor  # (K_h, S): resize along H, mean of ±k_h
    even_cols: Tensor  # (K_w, S // 2 + 1): resize along W
    odd_rows: Tensor  # (H - K_h, S): resize along H, half difference of ±k_h
    odd_cols: Tensor  # (W - K_w, S // 2 + 1): the paired frequencies of `even_cols`
    all_rows: Tensor  # (H, S): resize along H, rows in FFT order


def _build(
    height: int, width: int, filter_size: int, dtype: torch.dtype = torch.float64
) -> FourierGrid:
    positive = resize_matrix(filter_size, height, dtype)  # (H, S), rows in FFT order
    negative = torch.cat([positive[:1], positive[1:].flip(0)])
    # (K_w, S // 2 + 1)
    across = resize_matrix(filter_size // 2 + 1, num_cosines(width), dtype)
    return FourierGrid(
        rows=fourier_matrix(height, dtype),
        cols=fourier_matrix(width, dtype),
        even_rows=((positive + negative) / 2)[: num_cosines(height)],
        even_cols=across,
        odd_rows=((positive - negative) / 2)[1 : 1 + num_sines(height)],
        odd_cols=across[1 : 1 + num_sines(width)],
        all_rows=positive,
    )


def fourier_grid(
    height: int, width: int, filter_size: int, device: torch.device, dtype: torch.dtype
) -> FourierGrid:
    """The constants of a grid on ``device`` in ``dtype``, built in float64 and kept for reuse.

    torch.compile compiles once per grid: ``len(range(n))`` makes a symbolic size a number. In an
    export of any size they are computed in the graph, in ``dtype``.
    """
    if is_exporting() and isinstance(height + width, torch.SymInt):
        grid = _build(height, width, filter_size, dtype)
        return FourierGrid._make(t.to(device) for t in grid)
    return _constant_grid(len(range(height)), len(range(width)), filter_size, device, dtype)


@constant_when_compiled
def _constant_grid(*grid: int | torch.device | torch.dtype) -> FourierGrid:
    return _cached_grid(*grid)


@lru_cache(maxsize=256)
def _cached_grid(
    height: int, width: int, filter_size: int, device: torch.device, dtype: torch.dtype
) -> FourierGrid:
    def build() -> FourierGrid:
        grid = _build(height, width, filter_size)
        return FourierGrid._make(t.to(device, dtype).contiguous() for t in grid)

    return in_no_mode(build)
