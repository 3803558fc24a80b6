"""Rings of the spectrum of a grid: means over all frequencies of about one length.

Legend of the shape comments: H x W grid, K = W // 2 + 1 frequencies of ``rfft2`` along the width,
R rings, ``...`` any leading dimensions.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class Rings(NamedTuple):
    """The rings of one grid."""

    frequencies: Tensor  # (R,) middle of each, from 0 to 1; 1 is π, half a period for each step
    weights: Tensor  # (H * K, R): a column's mean over its ring, with both halves of the spectrum

    def mean(self, spectrum: Tensor) -> Tensor:
        """Of values on the half spectrum (..., H, K), the mean of each ring, (..., R)."""
        return spectrum.flatten(-2) @ self.weights.to(spectrum)


def rings(height: int, width: int, num_rings: int | None = None) -> Rings:
    """Those of a grid; the corners, frequencies longer than π, are in none.

    Args:
        height: Of the grid.
        width: Of the grid.
        num_rings: From 0 to π. By default as many as the shorter side has frequencies; more of
            them may hold no frequency, and those are left out.

    Raises:
        ValueError: The grid is empty, or fewer than two rings are asked for.
    """
    if height < 1 or width < 1:
        raise ValueError(f"a grid of {height} x {width} has no frequencies")
    wanted = max(2, min(height, width) // 2 + 1) if num_rings is None else num_rings
    if wanted < 2:
        raise ValueError(f"num_rings {wanted} must be at least 2")
    return _rings(height, width, wanted)


@lru_cache(maxsize=64)
def _rings(height: int, width: int, wanted: int) -> Rings:
    rows, columns = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)  # in turns for each step
    length = 2 * torch.hypot(rows[:, None], columns[None]).double()  # (H, K), 1 is π
    ring = (length * (wanted - 1)).round().long()
    times = half_spectrum_times(width).expand_as(length)
    inside = torch.nn.functional.one_hot(ring.clamp(max=wanted), wanted + 1)[..., :wanted]
    weights = (inside * times[..., None]).flatten(0, 1)  # (H * K, R)
    sums = weights.sum(0)
    there = sums > 0
    frequencies = torch.linspace(0, 1, wanted, dtype=torch.float64)
    return Rings(frequencies[there].float(), (weights / sums.clamp_min(1))[:, there].float())


def half_spectrum_times(width: int) -> Tensor:
    """How often each of the K columns of ``rfft2`` stands in the whole spectrum: 1 or 2, (K,)."""
    times = torch.full((width // 2 + 1,), 2.0, dtype=torch.float64)
    times[0] = 1
    if width % 2 == 0:
        times[-1] = 1
    return times
