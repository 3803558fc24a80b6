"""The constant matrices of the frequency-domain layers."""

from contextlib import AbstractContextManager

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from fdam_mm.layers.fourier import (
    _cached_grid,
    fourier_grid,
    fourier_matrix,
    num_cosines,
    resize_matrix,
)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 14, 32])
def test_fourier_matrix_is_orthonormal_and_spans_each_frequency(n: int) -> None:
    matrix = fourier_matrix(n)
    torch.testing.assert_close(matrix @ matrix.t(), torch.eye(n, dtype=torch.float64))
    x = torch.randn(n, dtype=torch.float64)
    power = torch.fft.rfft(x, norm="ortho").abs().square()
    ours = (matrix @ x).square()
    cosines = num_cosines(n)
    both = ours[:cosines].clone()
    both[1 : 1 + n - cosines] += ours[cosines:]
    both[1 : 1 + n - cosines] /= 2  # a paired frequency stands for its negative too
    torch.testing.assert_close(both, power)


@pytest.mark.parametrize(("size_in", "size_out"), [(14, 14), (14, 32), (14, 5), (8, 1), (8, 33)])
def test_resize_matrix_is_bicubic(size_in: int, size_out: int) -> None:
    x = torch.randn(1, 1, size_in, 3, dtype=torch.float64)
    expected = F.interpolate(x, (size_out, 3), mode="bicubic", align_corners=True)
    torch.testing.assert_close(resize_matrix(size_in, size_out) @ x[0, 0], expected[0, 0])


def test_grid_is_kept() -> None:
    key = (6, 7, 14, torch.device("cpu"), torch.float32)
    assert fourier_grid(*key).rows is fourier_grid(*key).rows


@pytest.mark.parametrize(
    "mode",
    [FakeTensorMode(), torch.inference_mode(), torch.device("meta")],
    ids=["fake", "inference", "meta"],
)
def test_constants_are_ordinary_tensors(mode: AbstractContextManager) -> None:
    """Whatever the first use of a grid runs in."""
    key = (3, 5, 14, torch.device("cpu"), torch.float32)
    _cached_grid.cache_clear()
    with mode:
        grid = fourier_grid(*key)
    _cached_grid.cache_clear()
    for ours, expected in zip(grid, fourier_grid(*key), strict=True):
        assert type(ours) is torch.Tensor and not ours.is_inference()
        assert torch.equal(ours, expected)
