"""What frequencies a feature map holds.

Legend of the shape comments: B batch, C channels, H x W grid, R rings.
"""

import torch
from torch import Tensor

from .rings import half_spectrum_times, rings


def radial_log_amplitude(features: Tensor, num_rings: int | None = None) -> tuple[Tensor, Tensor]:
    """The logarithm of the mean amplitude of each ring of the spectrum.

    The mean goes over pictures, channels and directions, before the logarithm, so that channels
    without a signal do not rule it; where a ring is empty it is that of the smallest float32.
    After Park and Kim, "How Do Vision Transformers Work?" (ICLR 2022, arXiv 2202.06709), who take
    one direction and the difference from frequency 0.

    Args:
        features: (B, C, H, W).
        num_rings: See :func:`.rings.rings`.

    Returns:
        The rings' frequencies, 0 to 1 with 1 for π, and ``ln |F|`` of the orthonormal transform,
        each (R,).
    """
    found = rings(features.shape[-2], features.shape[-1], num_rings)
    amplitude = torch.fft.rfft2(features.float(), norm="ortho").abs()  # (B, C, H, K)
    means = found.mean(amplitude.flatten(0, 1)).mean(0)
    return found.frequencies, means.clamp_min(torch.finfo(torch.float32).tiny).log()


def high_frequency_ratio(features: Tensor, cutoff: float = 0.25) -> Tensor:
    """The share of a map's energy at frequencies above ``cutoff`` along its height or its width.

    ``Σ_{max(|f_y|, |f_x|) > cutoff} |F|² / Σ |F|²``. Frequency 0 counts among the low ones: a map
    whose tokens are all alike has 0. White noise has the share of the frequencies, about 3/4 with
    the default. The FDAM paper (arXiv 2507.12006) shows such a ratio layer by layer without its
    cutoff; a quarter of a period for each step is our choice, where half the size still holds all.

    Args:
        features: (B, C, H, W).
        cutoff: In turns for each step of the grid; 0 leaves only frequency 0 below.

    Returns:
        (B,), over all channels, 0 to 1; 0 for maps of zeros.

    Raises:
        ValueError: ``cutoff`` is not in [0, 0.5).
    """
    if not 0 <= cutoff < 0.5:
        raise ValueError(f"cutoff {cutoff} must be in [0, 0.5) turns for each step")
    height, width = features.shape[-2:]
    power = torch.fft.rfft2(features.float(), norm="ortho").abs().square().sum(1)  # (B, H, K)
    power = power * half_spectrum_times(width).to(power)
    rows, columns = torch.fft.fftfreq(height).abs(), torch.fft.rfftfreq(width)
    high = torch.maximum(rows[:, None], columns[None]).to(power.device) > cutoff  # (H, K)
    total = power.sum((-2, -1))
    return (power * high).sum((-2, -1)) / total.clamp_min(torch.finfo(total.dtype).tiny)
