"""Learned position embeddings of a plain ViT: resizing, and fitting those of a checkpoint."""

import math
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, cat, nn
from torch.nn import functional as F


def resize_position(position: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Resize the grid part of a position embedding bicubically (``align_corners=False``).

    Args:
        position: (1, P + old_h * old_w, C); the first P positions (class token) are kept.
        old: Grid of ``position``.
        new: Wanted grid.

    Returns:
        (1, P + new_h * new_w, C).
    """
    old, new = tuple(old), tuple(new)
    if old == new:
        return position
    num_prefix = position.shape[1] - old[0] * old[1]
    prefix, grid = position[:, :num_prefix], position[:, num_prefix:]
    grid = grid.transpose(1, 2).unflatten(2, old)  # (1, C, old_h, old_w)
    grid = F.interpolate(grid, size=new, mode="bicubic", align_corners=False)
    return cat([prefix, grid.flatten(2).transpose(1, 2)], dim=1)


def adapt_position(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """``load_state_dict`` pre-hook: make a checkpoint's class token and positions fit ``module``.

    A class token that the module does not keep is dropped together with its position (and a
    distillation token's); where the module keeps one and the checkpoint has no position for it
    (DeiT-III), that position is zero. The grid is resized to the module's. A position embedding
    that is no square grid is left alone, for the loader to report.

    Args:
        module: Has ``pos_embed``, ``cls_token`` (or None) and ``grid``.
        state: The state dict being loaded, changed in place.
        prefix: The module's prefix in ``state``.
    """
    key = f"{prefix}pos_embed"
    if key not in state:
        return
    if module.cls_token is None:
        state.pop(f"{prefix}cls_token", None)
    position = state[key]
    if position.ndim != 3 or position.shape == module.pos_embed.shape:
        return
    side = math.isqrt(position.shape[1])
    num_prefix = position.shape[1] - side * side
    if num_prefix > 2 or position.shape[2] != module.pos_embed.shape[2]:
        return
    keep = int(module.cls_token is not None)
    head, grid = position[:, :num_prefix][:, :keep], position[:, num_prefix:]
    if keep > num_prefix:
        head = position.new_zeros(1, 1, position.shape[2])
    state[key] = cat([head, resize_position(grid, (side, side), module.grid)], dim=1)
    print_log(
        f"{key}: {num_prefix} + {side} x {side} positions fitted to "
        f"{keep} + {module.grid[0]} x {module.grid[1]}",
        logger="current",
    )
