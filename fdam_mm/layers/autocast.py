"""The float32 island: the parts of FDAM that are computed in float32 also under autocast."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from .compiling import constant_when_compiled


def float32_island(x: Tensor) -> AbstractContextManager:
    """Context in which autocast is off on the device of ``x``, if it has autocast at all.

    Where it is off already nothing is entered: ``torch.export`` would make a region of it whose
    operations lose their modules' names.
    """
    device_type = x.device.type
    if not _has_autocast(device_type) or not torch.is_autocast_enabled(device_type):
        return nullcontext()
    return torch.autocast(device_type=device_type, enabled=False)


@constant_when_compiled
def _has_autocast(device_type: str) -> bool:
    return torch.amp.is_autocast_available(device_type)  # not on "meta", say


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32 where it came in 16 bits; float32 and float64 stay as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
