"""Cutting a map into square windows, and putting it together again."""

from torch import Tensor
from torch.nn import functional as F


def to_windows(x: Tensor, size: int) -> Tensor:
    """Tokens of windows; zeros at the right and at the bottom make them whole.

    Args:
        x: (B, H, W, C).
        size: Side of a window.

    Returns:
        (B * n, size * size, C) with the n = ceil(H / size) * ceil(W / size) windows row by row.
    """
    pad_h, pad_w = (-side % size for side in x.shape[1:3])
    if pad_h or pad_w:
        x = F.pad(x, (0, 0, 0, pad_w, 0, pad_h))
    x = x.unflatten(2, (-1, size)).unflatten(1, (-1, size))  # (B, rows, size, columns, size, C)
    return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def from_windows(windows: Tensor, size: int, hw: tuple[int, int]) -> Tensor:
    """Undo :func:`to_windows`: (B * n, size * size, C) -> (B, H, W, C), the padding cut off."""
    rows, columns = (-(-side // size) for side in hw)
    x = windows.unflatten(1, (size, size)).unflatten(0, (-1, rows, columns))
    x = x.transpose(2, 3).flatten(3, 4).flatten(1, 2)  # (B, rows * size, columns * size, C)
    return x[:, : hw[0], : hw[1]]
