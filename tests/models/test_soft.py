import torch
from torch import Tensor

from fdam_mm.models import SOFT
from fdam_mm.models.backbones.soft import (
    gaussian,
    normalized_inverse,
    regularized_inverse,
)


def kernel(num: int = 6, spread: float = 1.0) -> Tensor:
    torch.manual_seed(0)
    points = spread * torch.randn(2, 3, num, 8, dtype=torch.float64)
    return gaussian(points, points)


def test_gaussian_is_the_kernel_of_distances() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 5, 8), torch.randn(2, 4, 8)
    expected = (-torch.cdist(q, k).square() / 2).exp()
    torch.testing.assert_close(gaussian(q, k), expected)


def test_normalized_inverse_starts_as_written() -> None:
    """Step by step, on kernels that need no halving of the start and on such that do."""
    for spread in (2.0, 0.3, 0.02):
        matrix = kernel(40, spread)
        start = 2 / matrix.sum(-1).max() ** 2
        eye = torch.eye(40, dtype=matrix.dtype)
        for _ in range(10):
            if (eye - matrix @ (start * matrix)).abs().sum(-2).max() <= 1.01:
                break
            start = start / 2
        inverse = start * matrix
        for _ in range(4):
            inverse = 2 * inverse - inverse @ matrix @ inverse
        root = matrix.sum(-1).rsqrt().diag_embed()
        torch.testing.assert_close(normalized_inverse(matrix, 4), root @ inverse @ root)


def test_regularized_inverse_and_its_gradient_are_the_exact_ones() -> None:
    matrix = kernel(spread=2.0).requires_grad_()
    weight = torch.randn_like(matrix)
    expected = torch.linalg.inv(matrix + 0.01 * torch.eye(6, dtype=matrix.dtype))
    found = regularized_inverse(matrix, 20)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    grads = [torch.autograd.grad((out * weight).sum(), matrix)[0] for out in (found, expected)]
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-6)


def test_the_kernels_that_are_not_normalized() -> None:
    settings = dict(embed_dims=(16, 32, 32, 48), depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 4))
    model = SOFT(**settings, img_size=64, normalized=False)
    outs = model(torch.randn(2, 3, 64, 70))
    sum(out.square().mean() for out in outs).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
