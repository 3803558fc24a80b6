"""What every launch needs, at little cost: on small maps the host is what takes the time."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

_HERE = nullcontext()


def on_device_of(x: Tensor) -> AbstractContextManager:
    """Context in which ``x``'s GPU is the current one; nothing where it is already."""
    if not x.is_cuda or x.device.index == torch.cuda.current_device():
        return _HERE
    return torch.cuda.device(x.device)


def in_float32(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [t if t.dtype == torch.float32 else t.float() for t in tensors]
