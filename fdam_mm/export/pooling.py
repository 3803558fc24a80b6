"""Adaptive average pooling that exports with any size of map."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def pooling_by_matrices(model: nn.Module) -> Iterator[None]:
    """Within it every ``nn.AdaptiveAvgPool2d`` of ``model`` is a product with two matrices.

    torch's own has no export where the sides of its map are symbols.
    """
    found = [m for m in model.modules() if type(m) is nn.AdaptiveAvgPool2d]
    for module in found:
        module.forward = lambda x, size=module.output_size: pool(x, size)  # type: ignore
    try:
        yield
    finally:
        for module in found:
            del module.forward


def pool(x: Tensor, size: int | tuple[int | None, int | None]) -> Tensor:
    """(B, C, H, W) -> (B, C, *size), as :func:`torch.nn.functional.adaptive_avg_pool2d`."""
    wanted = (size, size) if isinstance(size, int) else size
    rows, cols = (
        _means(side, side if num is None else num, x)
        for side, num in zip(x.shape[2:], wanted, strict=True)
    )
    return rows @ x @ cols.t()


def _means(side: int, num: int, like: Tensor) -> Tensor:
    """(num, side): row i is the mean of floor(i * side / num) to ceil((i + 1) * side / num)."""
    bins = torch.arange(num) * torch.full((), side)
    start = (bins // num)[:, None]
    end = ((bins + torch.full((), side) + num - 1) // num)[:, None]
    position = torch.arange(side)
    inside = ((position >= start) & (position < end)).to(like)
    return inside / (end - start).to(like)
