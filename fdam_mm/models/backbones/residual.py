"""The residual branch of a block with FreqScale, LayerScale and stochastic depth."""

from mmcv.cnn.bricks import DropPath
from torch import Tensor

from fdam_mm.layers import FreqScale

from .staged import channels_first, channels_last


def add_branch(
    shortcut: Tensor,
    x: Tensor,
    freq_scale: FreqScale | None,
    gamma: Tensor | None,
    drop_path: DropPath,
    hw: tuple[int, int] | None = None,
) -> Tensor:
    """``shortcut + drop_path(gamma * (x + FreqScale(x)))``, each where there is one.

    Args:
        shortcut: In the shape of ``x``.
        x: What a sub-layer adds: (B, C, H, W), or tokens (B, P + H * W, C) with the grid's last.
        freq_scale: None leaves ``x`` as it is.
        gamma: (C,) of LayerScale.
        drop_path: Stochastic depth.
        hw: The grid (H, W) of tokens.
    """
    prefix = 0 if hw is None else x.shape[1] - hw[0] * hw[1]
    drops = drop_path.training and drop_path.drop_prob > 0
    if freq_scale is not None and not drops:
        return freq_scale.add_to(shortcut, x, hw, prefix, gamma)
    if freq_scale is not None:
        x = freq_scale(x, hw, num_prefix_tokens=prefix)
    if gamma is not None:
        x = (gamma if hw is not None else gamma[:, None, None]) * x
    return shortcut + drop_path(x)


def add_branch_to_map(
    shortcut: Tensor,
    x: Tensor,
    freq_scale: FreqScale | None,
    gamma: Tensor | None,
    drop_path: DropPath,
) -> Tensor:
    """:func:`add_branch` on maps with their channels last, (B, H, W, C)."""
    maps = channels_first(shortcut), channels_first(x)
    return channels_last(add_branch(*maps, freq_scale, gamma, drop_path))
