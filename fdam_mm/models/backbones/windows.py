"""Cutting a map into square windows, putting it together again, and attention within windows.

Legend of the shape comments: B batch, H x W grid, N tokens of a window, C channels, h heads,
d = C / h channels of a head.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.layers import AttInv


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


class WindowAttention(nn.Module):
    """Multi-head attention within windows, with Attention Inversion.

    The zeros that make windows whole are attended to, as the authors' model does.

    Args:
        dim: Channels C.
        num_heads: Heads h.
        window_size: Side of a window.
        att_inv: Arguments of :class:`fdam_mm.layers.AttInv`.

    Shape: (B, H, W, C) -> the same.
    """

    def __init__(self, dim: int, num_heads: int, window_size: int, **att_inv: Any) -> None:
        super().__init__()
        self.num_heads, self.window_size = num_heads, window_size
        self.qkv = nn.Linear(dim, 3 * dim)
        self.att_inv = AttInv(dim, num_heads, **att_inv)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        hw = (x.shape[1], x.shape[2])
        x = to_windows(x, self.window_size)  # (B * windows, N, C)
        q, k, v = split_heads(self.qkv(x), self.num_heads)
        y = F.scaled_dot_product_attention(q, k, v)  # (B * windows, h, N, d)
        return from_windows(self.proj(self.att_inv(x, v, y)), self.window_size, hw)


def split_heads(qkv: Tensor, num_heads: int) -> tuple[Tensor, ...]:
    """(B, N, 3C), of queries, keys and values side by side, -> three (B, h, N, d)."""
    return qkv.unflatten(2, (3, num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
