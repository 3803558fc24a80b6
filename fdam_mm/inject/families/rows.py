"""Tokens of windows in the order of the map."""

from collections.abc import Sequence

from torch import Tensor


def rows_of_windows(x: Tensor, hw: Sequence[int]) -> Tensor:
    """(B, H / s, W / s, s, s, C), windows of side s of a padded map -> (B, height * width, C)."""
    x = x.transpose(2, 3).flatten(3, 4).flatten(1, 2)  # (B, padded H, padded W, C)
    return x[:, : hw[0], : hw[1]].flatten(1, 2)
