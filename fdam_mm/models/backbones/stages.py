"""What the backbones with stages share: their settings per stage, and how weights start."""

from collections.abc import Sequence
from itertools import pairwise
from math import gcd, sqrt

from torch import nn

from fdam_mm.errors import ConfigError
from fdam_mm.layers import AttInv, FreqScale


def stage_indices(
    indices: int | Sequence[int], num_stages: int, what: str = "stages"
) -> tuple[int, ...]:
    """``out_indices`` as a tuple of indices from 0; -1 is the last of ``num_stages``.

    Raises:
        ConfigError: They are no whole numbers.
        ValueError: One does not exist, or they do not ascend: maps come out in the model's order,
            each once.
    """
    indices = tuple(indices) if isinstance(indices, list | tuple) else (indices,)
    if not indices or not all(type(i) is int for i in indices):
        raise ConfigError(f"out_indices is {indices}, expected whole numbers")
    if not all(-num_stages <= i < num_stages for i in indices):
        raise ValueError(f"out_indices {indices} name {what} outside 0 .. {num_stages - 1}")
    wrapped = tuple(i % num_stages for i in indices)
    if any(a >= b for a, b in pairwise(wrapped)):
        raise ValueError(f"out_indices {indices} must ascend without duplicates")
    return wrapped


def linear_ramp(last: float, num_blocks: Sequence[int]) -> list[list[float]]:
    """Drop-path rates of every stage's blocks, from 0 at the first block of all to ``last``."""
    step = last / max(sum(num_blocks) - 1, 1)
    firsts = [sum(num_blocks[:stage]) for stage in range(len(num_blocks))]
    return [
        [step * (first + i) for i in range(num)]
        for first, num in zip(firsts, num_blocks, strict=True)
    ]


def gate_heads(dim: int) -> int:
    """Heads of AttInv where there are no attention heads: each 32 channels, or as many as divide
    both 32 and ``dim``."""
    return dim // gcd(dim, 32)


def reset_convolutions(module: nn.Module) -> None:
    """Every convolution normal with the variance of 2 / fan-out, zero biases."""
    for conv in (m for m in module.modules() if isinstance(m, nn.Conv2d)):
        fan_out = conv.kernel_size[0] * conv.kernel_size[1] * conv.out_channels // conv.groups
        nn.init.normal_(conv.weight, std=sqrt(2 / fan_out))
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)


def reset_linears(module: nn.Module) -> None:
    """Every linear truncated normal with std 0.02, zero biases; FDAM's layers keep their start."""
    for child in module.children():
        if isinstance(child, nn.Linear):
            nn.init.trunc_normal_(child.weight, std=0.02)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        elif not isinstance(child, AttInv | FreqScale):
            reset_linears(child)
