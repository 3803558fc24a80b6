"""Times of several variants, interleaved so that a machine's other work falls on all of them.

Beside them the memory of each, and what it computes and moves.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from .counts import count
from .memory import peak_mib

Steps = Mapping[str, Callable[[], None]]
Times = dict[str, list[float]]


def measure_all(steps: Steps, rounds: int, device: str) -> dict[str, dict[str, Any]]:
    """:func:`summarise` of :func:`measure`, and of each step its ``peak_mib``; on a CPU, where all
    is done by operations of torch, also what :func:`.counts.count` counts."""
    found = summarise(measure(steps, rounds, device))
    for name, step in steps.items():
        found[name]["peak_mib"] = peak_mib(step, device)
        if torch.device(device).type == "cpu":
            found[name] |= count(step)
    return found


def measure(
    steps: Steps,
    rounds: int,
    device: str,
    warm_up: int = 2,
    clock: Callable[[], float] = time.process_time,
) -> Times:
    """Milliseconds of each step in each round: by ``clock`` on a CPU, which is the CPU time of the
    process unless said otherwise, or by CUDA events.

    Every round runs each step once, one after the other. Steps that are warming up do not count.
    """
    run = _time_cuda if torch.device(device).type == "cuda" else partial(_time_cpu, clock)
    times: Times = {name: [] for name in steps}
    for index in range(rounds + warm_up):
        for name, step in steps.items():
            milliseconds = run(step)
            if index >= warm_up:
                times[name].append(milliseconds)
    return times


def summarise(times: Times) -> dict[str, dict[str, Any]]:
    """For each variant its milliseconds, and their ratio to the first variant's of that round.

    Each is ``dict(median, q1, q3, min)``; the ratio's ``min`` is that of the fastest rounds.
    """
    base = next(iter(times.values()))
    summary = {}
    for name, values in times.items():
        ratio = _spread([a / b for a, b in zip(values, base, strict=True)])
        ratio["min"] = round(min(values) / min(base), 4)
        summary[name] = dict(ms=_spread(values), ratio=ratio)
    return summary


def _spread(values: list[float]) -> dict[str, float]:
    few = len(values) < 2
    q1, median, q3 = values * 3 if few else statistics.quantiles(values, method="inclusive")
    found = dict(median=median, q1=q1, q3=q3, min=min(values))
    return {name: round(value, 4) for name, value in found.items()}


def _time_cpu(clock: Callable[[], float], step: Callable[[], None]) -> float:
    start = clock()
    step()
    return 1e3 * (clock() - start)


def _time_cuda(step: Callable[[], None]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    step()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)
