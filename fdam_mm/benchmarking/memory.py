"""Memory of a step: its peak, and what a forward keeps for its backward."""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

MIB = 2**20


def peak_mib(step: Callable[[], Any], device: str) -> float:
    """MiB that a call of ``step`` takes at its highest, above what is held before it.

    A first call also takes what later ones find. On a CPU as torch's allocator tells its profiler:
    of what torch's libraries allocate for themselves (oneDNN, MKL) it does not know.
    """
    peak = _peak_cuda(step) if torch.device(device).type == "cuda" else _peak_cpu(step)
    return round(peak / MIB, 2)


def _peak_cuda(step: Callable[[], Any]) -> int:
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _peak_cpu(step: Callable[[], Any]) -> int:
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # without a GPU it says so as an error
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as found:
        step()
    events = (e for e in found.profiler.kineto_results.events() if e.name() == "[memory]")
    held = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()  # negative where memory is given back
        peak = max(peak, held)
    return peak


def saved_for_backward(model: nn.Module, forward: Callable[[], Any]) -> int:
    """Bytes that ``forward`` keeps; weights and further views of what is kept do not count."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = forward()
    del out
    return sum(kept.values())
