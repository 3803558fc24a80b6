"""The choice between FreqScale's forms, derived from their times."""

import math
from collections.abc import Iterable, Mapping
from typing import Any


def largest_sides(cases: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    """For each number of channels the largest side of a grid for Fourier matrices; 0 is none.

    Of every possible limit the one that loses the least time, summed over the measured grids as
    logarithms of the ratio to the faster form. Of equals the smaller one.

    Args:
        cases: Those of :func:`.layers.bench_forms`.
    """
    ratios: dict[int, dict[int, float]] = {}  # channels: side: log(matrices / FFT), both modes
    for case in cases:
        times = {name: found["ms"]["median"] for name, found in case["variants"].items()}
        sides = ratios.setdefault(case["dim"], {})
        ratio = math.log(times["matrices"] / times["fft"])
        sides[case["grid"]] = sides.get(case["grid"], 0.0) + ratio
    return {channels: _best_limit(sides) for channels, sides in sorted(ratios.items())}


def _best_limit(sides: Mapping[int, float]) -> int:
    def lost(limit: int) -> float:
        return sum(max(0.0, ratio if side <= limit else -ratio) for side, ratio in sides.items())

    return min([0, *sorted(sides)], key=lost)
