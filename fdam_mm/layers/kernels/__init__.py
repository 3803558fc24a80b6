"""Triton kernels of both layers for NVIDIA GPUs: fewer passes over memory, the same formulas.

Nothing here imports triton before a CUDA tensor comes.
"""

from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from ..compiling import constant_when_compiled
from ..fused import is_exporting, is_in_forward_mode, is_transformed, run
from .launch import in_float32

LARGEST_SIDE = 32  # of a grid that fits on chip
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_MEASURED = (9,)  # compute capabilities on which `make bench-gpu` found them faster
_LEAST = 8  # which has the products they use
_state: dict[str, bool | None] = {"on": None}


def use_kernels(on: bool | None = True) -> None:
    """Switch the kernels on or off, for all layers of this process.

    At first, and after None, they are on for GPUs on which they were measured: those of compute
    capability 9.0. Switched on they serve all from 8.0, where they can: CUDA tensors of at most 32
    bits, outside exports, function transforms and forward mode, FreqScale on grids of at most
    32 x 32. All else is computed as without them.

    Raises:
        ModuleNotFoundError: They are switched on and triton is not installed.
    """
    if on and not _has_triton():
        raise ModuleNotFoundError("the kernels need triton, which torch's CUDA builds bring")
    _state["on"] = on


@lru_cache(maxsize=1)
def _has_triton() -> bool:
    return find_spec("triton") is not None


@constant_when_compiled
def _serve(device: torch.device, on: bool | None) -> bool:
    return _can_serve(device, on)


@lru_cache(maxsize=64)
def _can_serve(device: torch.device, on: bool | None) -> bool:
    if on is False or torch.version.cuda is None or not _has_triton():
        return False
    major, _ = torch.cuda.get_device_capability(device)
    return major >= _LEAST if on else major in _MEASURED


def can_use_kernels(x: Tensor) -> bool:
    """Whether the kernels are on and can take ``x``."""
    if not x.is_cuda or x.dtype not in _DTYPES or is_exporting():
        return False
    if not torch.compiler.is_compiling():
        is_ordinary = type(x) in (Tensor, torch.nn.Parameter)
        if not is_ordinary or is_transformed() or is_in_forward_mode():
            return False
    return _serve(x.device, _state["on"])


def gate_and_mix(x: Tensor, y: Tensor, v: Tensor, *parameters: Tensor) -> Tensor:
    """See :func:`.att_inv.plain_gate_and_mix`; here any dimensions stand before the tokens."""
    if x.ndim != 3:
        y4, v4 = (t.reshape(-1, *t.shape[-3:]) for t in (y, v))  # (B, N, h, d)
        x3 = x.reshape(-1, *x.shape[-2:])
        return gate_and_mix(x3, y4, v4, *parameters).view(y.shape)
    x, exact = x.contiguous(), in_float32(parameters)
    if torch.compiler.is_compiling():
        return _operators().gate_and_mix(x, y, v, exact)[0]
    from .att_inv import GateAndMix, gate_and_mix_forward, plain_gate_and_mix

    return run(
        GateAndMix, lambda *t: gate_and_mix_forward(*t)[0], plain_gate_and_mix, x, y, v, *exact
    )


def route(mean: Tensor, *parameters: Tensor) -> Tensor:
    """See :func:`.routing.plain_route`."""
    from .routing import Route, plain_route, routed

    return run(Route, routed, plain_route, mean, *in_float32(parameters))


def scale(
    x: Tensor,
    routing: Tensor,
    bases: Tensor,
    gamma: Tensor | None,
    shortcut: Tensor | None,
    hw: tuple[int, int],
) -> Tensor:
    """See :func:`.freq_scale.plain_scale`."""
    dtype = x.dtype
    for other in (gamma, shortcut):
        dtype = dtype if other is None else torch.promote_types(dtype, other.dtype)
    weight = None if gamma is None else gamma.float()
    inputs = (x, routing, bases.float(), weight, shortcut, hw, dtype)
    if torch.compiler.is_compiling():
        return _operators().scale_maps(*inputs)
    from .freq_scale import ScaleOnChip, plain_scale, scale_maps

    return run(ScaleOnChip, scale_maps, plain_scale, *inputs)


def _operators() -> Any:
    from . import operators

    return operators
