"""Triton kernels of both layers for NVIDIA GPUs: fewer passes over memory, the same formulas.

They are off until :func:`use_kernels`; nothing here imports triton before that.
"""

from importlib.util import find_spec

import torch
from torch import Tensor

from ..fused import is_exporting

LARGEST_SIDE = 32  # of a grid that fits on chip
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_state = {"on": False}


def use_kernels(on: bool = True) -> None:
    """Switch the kernels on or off, for all layers of this process.

    They then serve where they can: CUDA tensors of at most 32 bits, outside torch.compile, exports
    and function transforms, on grids of at most 32 x 32. All else is computed as without them.

    Raises:
        ModuleNotFoundError: They are switched on and triton is not installed.
    """
    if on and find_spec("triton") is None:
        raise ModuleNotFoundError("the kernels need triton, which torch's CUDA builds bring")
    _state["on"] = on


def can_use_kernels(x: Tensor) -> bool:
    """Whether the kernels are on and can take ``x``."""
    if not _state["on"] or torch.compiler.is_compiling() or is_exporting():
        return False
    is_ordinary = type(x) in (Tensor, torch.nn.Parameter) and x.is_cuda and x.dtype in _DTYPES
    return is_ordinary and torch._C._functorch.peek_interpreter_stack() is None


def gate_and_mix(y: Tensor, v: Tensor, logits: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """See :func:`.att_inv.plain_gate_and_mix`; here any dimensions stand before (N, h, d)."""
    from .att_inv import GateAndMix

    y4, v4 = (t.reshape(-1, *t.shape[-3:]) for t in (y, v))  # (B, N, h, d)
    logits = logits.reshape(*y4.shape[:2], -1)
    return GateAndMix.apply(y4, v4, logits, low.float(), high.float()).view(y.shape)


def scale_maps(x: Tensor, routing: Tensor, bases: Tensor) -> Tensor:
    """See :func:`.freq_scale.plain_scale_maps`."""
    from .freq_scale import ScaleOnChip

    return ScaleOnChip.apply(x, routing, bases.float())
