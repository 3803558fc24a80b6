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


def num_cosines(n: int) -> int:
    """Cosine rows of :func:`fourier_matrix`: frequencies 0 to n // 2."""
    return n // 2 + 1


def num_sines(n: int) -> int:
    """Sine rows: frequencies 1 to (n - 1) // 2, those whose negative is another frequency."""
    return (n - 1) // 2


def fourier_matrix(n: int) -> Tensor:
    """Real orthonormal Fourier matrix, (n, n) in float64: cosine rows, then sine rows."""
    k = torch.arange(n // 2 + 1, dtype=torch.float64)
    angle = 2 * math.pi / n * torch.outer(k, torch.arange(n, dtype=torch.float64))
    unpaired = (k == 0) | (2 * k == n)
    norm = ((2 - unpaired.double()) / n).sqrt().unsqueeze(1)
    return torch.cat([norm * angle.cos(), (norm * angle.sin())[~unpaired]])


def resize_matrix(size_in: int, size_out: int) -> Tensor:
    """Bicubic resize with ``align_corners=True`` as a matrix, (size_out, size_in) in float64."""
    eye = torch.eye(size_in, dtype=torch.float64)
    size = (size_out, size_in)
    return F.interpolate(eye[None, None], size=size, mode="bicubic", align_corners=True)[0, 0]


class FourierGrid(NamedTuple):
    """The constants of one grid (H, W) and one filter size S.

    The resized half spectrum has a weight M₊ at (+k_h, k_w) and M₋ at (-k_h, k_w). Products of
    cosines and sines need ``A = (M₊ + M₋) / 2``, and ``D = (M₊ - M₋) / 2`` where both frequencies
    are paired.
    """

    rows: Tensor  # (H, H) Fourier matrix
    cols: Tensor  # (W, W)
    all_rows: Tensor  # (H, S): resize along H, rows in FFT order
    even_rows: Tensor  # (K_h, S): the same, mean of ±k_h
    odd_rows: Tensor  # (H - K_h, S): the same, half difference of ±k_h
    even_cols: Tensor  # (K_w, S // 2 + 1): resize along W
    odd_cols: Tensor  # (W - K_w, S // 2 + 1): its paired frequencies


def _build(height: int, width: int, filter_size: int) -> FourierGrid:
    positive = resize_matrix(filter_size, height)  # (H, S), rows in FFT order
    negative = positive[-torch.arange(height) % height]
    even, odd = (positive + negative) / 2, (positive - negative) / 2
    across = resize_matrix(filter_size // 2 + 1, width // 2 + 1)  # (W // 2 + 1, S // 2 + 1)
    return FourierGrid(
        rows=fourier_matrix(height),
        cols=fourier_matrix(width),
        all_rows=positive,
        even_rows=even[: num_cosines(height)],
        odd_rows=odd[1 : 1 + num_sines(height)],
        even_cols=across,
        odd_cols=across[1 : 1 + num_sines(width)],
    )


def fourier_grid(
    height: int, width: int, filter_size: int, device: torch.device, dtype: torch.dtype
) -> FourierGrid:
    """The constants of a grid on ``device`` in ``dtype``, built in float64 and kept for reuse.

    torch.compile compiles once per grid: ``len(range(n))`` makes a symbolic size a number.
    """
    return _constant_grid(len(range(height)), len(range(width)), filter_size, device, dtype)


@torch.compiler.assume_constant_result
def _constant_grid(*grid: int | torch.device | torch.dtype) -> FourierGrid:
    return _cached_grid(*grid)


@lru_cache(maxsize=256)
def _cached_grid(
    height: int, width: int, filter_size: int, device: torch.device, dtype: torch.dtype
) -> FourierGrid:
    from torch._subclasses.fake_tensor import unset_fake_temporarily  # slow to import

    # Kept tensors must be ordinary ones, whatever mode the first call runs in.
    with (
        unset_fake_temporarily(),
        torch.inference_mode(False),
        torch.no_grad(),
        torch.device("cpu"),
    ):
        grid = _build(height, width, filter_size)
        return FourierGrid(*(t.to(device=device, dtype=dtype).contiguous() for t in grid))
