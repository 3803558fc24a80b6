"""The float32 island: the parts of FDAM that are computed in float32 also under autocast."""

import torch
from torch import Tensor


def float32_island(x: Tensor) -> torch.autocast:
    """Context in which autocast is off on the device of ``x``."""
    return torch.autocast(device_type=x.device.type, enabled=False)


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32 where it came in 16 bits; float32 and float64 stay as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
