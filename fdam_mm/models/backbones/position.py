"""Learned position embeddings of a plain ViT: resizing, and fitting those of a checkpoint."""

import math
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, arange, cat, float64, nn, outer, tensor
from torch.nn import functional as F

MODES = ("bicubic", "bilinear")


def resize_position(
    position: Tensor, old: tuple[int, int], new: tuple[int, int], mode: str = "bicubic"
) -> Tensor:
    """Resize the grid part of a position embedding (``align_corners=False``).

    Args:
        position: (1, P + old_h * old_w, C); the first P positions (class token) are kept.
        old: Grid of ``position``.
        new: Wanted grid.
        mode: One of :data:`MODES`.

    Returns:
        (1, P + new_h * new_w, C).
    """
    old, new = tuple(old), tuple(new)
    if old == new:
        return position
    num_prefix = position.shape[1] - old[0] * old[1]
    prefix, grid = position[:, :num_prefix], position[:, num_prefix:]
    grid = grid.transpose(1, 2).unflatten(2, old)  # (1, C, old_h, old_w)
    grid = F.interpolate(grid, size=new, mode=mode, align_corners=False)
    return cat([prefix, grid.flatten(2).transpose(1, 2)], dim=1)


def sincos_position(dim: int, hw: tuple[int, int]) -> Tensor:
    """The fixed embedding of sines and cosines, as MAE has it: columns first, then rows.

    Args:
        dim: Channels C, a multiple of 4.
        hw: Grid.

    Returns:
        (1, H * W, C).
    """
    rates = 10000 ** -(arange(dim // 4, dtype=float64) / (dim // 4))
    rows, columns = (outer(arange(side, dtype=float64), rates) for side in hw)  # (side, C / 4)
    rows, columns = (cat([t.sin(), t.cos()], 1) for t in (rows, columns))  # (side, C / 2)
    both = [columns[None].expand(hw[0], -1, -1), rows[:, None].expand(-1, hw[1], -1)]
    return cat(both, 2).flatten(0, 1).unsqueeze(0).float()


def save_grid(module: nn.Module, state: dict[str, Tensor], prefix: str, _: Any) -> None:
    """``state_dict`` post-hook: keep a grid that is no square, which the positions do not tell.

    Args:
        module: Has ``grid``.
        state: The state dict being made; ``pos_grid``, the (H, W) of the positions, is added.
        prefix: The module's prefix in ``state``.
    """
    if module.grid[0] != module.grid[1]:
        state[f"{prefix}pos_grid"] = tensor(module.grid)


def adapt_position(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """``load_state_dict`` pre-hook: make a checkpoint's class token and positions fit ``module``.

    A class token that the module does not keep is dropped together with its position (and a
    distillation token's); where the module keeps one and the checkpoint has no position for it
    (DeiT-III), that position is zero. The grid is resized to the module's. It is the one that
    :func:`save_grid` kept, else a square, as those of all ImageNet files are, else the module's
    own beside a class token, as in files of mmseg. Positions that are none of these are left
    alone: they fit as they are, or the loader reports them.

    Args:
        module: Has ``pos_embed``, ``cls_token`` (or None), ``grid`` and ``interpolate_mode``.
        state: The state dict being loaded, changed in place.
        prefix: The module's prefix in ``state``.
    """
    key = f"{prefix}pos_embed"
    saved = state.pop(f"{prefix}pos_grid", None)
    if key not in state:
        return
    if module.cls_token is None:
        state.pop(f"{prefix}cls_token", None)
    position, keep = state[key], int(module.cls_token is not None)
    if position.ndim != 3 or position.shape[2] != module.pos_embed.shape[2]:
        return
    if saved is None and position.shape == module.pos_embed.shape:
        old = _square(position.shape[1] - keep)
    else:
        old = _square(position.shape[1], most_extra=2) if saved is None else tuple(saved.tolist())
    if old is None and position.shape[1] == module.grid[0] * module.grid[1] + 1:
        old = module.grid
    num_prefix = -1 if old is None else position.shape[1] - old[0] * old[1]
    if not 0 <= num_prefix <= 2 or (old, num_prefix) == (module.grid, keep):
        return
    head, grid = position[:, :num_prefix][:, :keep], position[:, num_prefix:]
    if keep > num_prefix:
        head = position.new_zeros(1, 1, position.shape[2])
    grid = resize_position(grid, old, module.grid, module.interpolate_mode)
    state[key] = cat([head, grid], dim=1)
    print_log(
        f"{key}: {num_prefix} + {old[0]} x {old[1]} positions fitted to "
        f"{keep} + {module.grid[0]} x {module.grid[1]}",
        logger="current",
    )


def _square(num_positions: int, most_extra: int = 0) -> tuple[int, int] | None:
    """The square grid in so many positions, of which up to ``most_extra`` are beside it."""
    side = math.isqrt(num_positions)
    return (side, side) if num_positions - side * side <= most_extra else None
