"""What FDAM's layers do to a map: AttInv's gates over the picture, FreqScale's gain by frequency.

Legend of the shape comments: B batch, h heads, C channels, H x W grid, G groups, R rings.
"""

import torch
from torch import Tensor

from fdam_mm.layers import AttInv, FreqScale

from .rings import rings


def gate_maps(
    att_inv: AttInv, x: Tensor, hw: tuple[int, int], num_prefix_tokens: int = 0
) -> tuple[Tensor | None, Tensor | None]:
    """AttInv's gates at each place of the picture.

    Args:
        att_inv: The layer.
        x: (B, num_prefix_tokens + H * W, C), the attention's normed input.
        hw: The grid (H, W).
        num_prefix_tokens: Tokens before the grid's.

    Returns:
        ``low`` in (-1, 1) and ``high`` in (0, 2), each (B, h, H, W), None for a path that is off.
        What they weigh is γ_low y and γ_high (v - y).
    """

    def on_grid(gate: Tensor | None) -> Tensor | None:
        return None if gate is None else gate[:, num_prefix_tokens:].mT.unflatten(-1, hw)

    with torch.no_grad():
        low, high = att_inv.gates(x)
    return on_grid(low), on_grid(high)


def band_gains(
    freq_scale: FreqScale, x: Tensor, num_rings: int | None = None
) -> tuple[Tensor, Tensor]:
    """By how much FreqScale multiplies each ring of the spectrum, for each group: mean |1 + w|.

    Args:
        freq_scale: The layer.
        x: (B, C, H, W), the map that enters it.
        num_rings: See :func:`.rings.rings`.

    Returns:
        The rings' frequencies (R,), 0 to 1 with 1 for π, and the gains (B, G, R); 1 leaves a
        frequency as it is.
    """
    height, width = x.shape[-2:]
    with torch.no_grad():
        weight = freq_scale.weight(x.movedim(1, -1).float())  # (B, C, H, K)
    # A real map has one frequency where the half spectrum holds both signs: they count together.
    alone = [0, weight.shape[-1] - 1] if width % 2 == 0 else [0]
    mirrored = weight[..., -torch.arange(height) % height, :]
    weight[..., alone] = (weight + mirrored)[..., alone] / 2
    found = rings(height, width, num_rings)
    gains = found.mean((1 + weight).abs())  # (B, C, R)
    return found.frequencies, gains.unflatten(1, (freq_scale.groups, -1)).mean(2)
