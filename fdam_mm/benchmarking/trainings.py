"""The table of ``benchmarks/fine_tuning.py``: ways of training, each with rates and seeds."""

import statistics
from collections.abc import Mapping
from typing import Any

from .markdown import table

Case = Mapping[str, Any]


def trainings_table(cases: list[dict[str, Any]]) -> list[str]:
    """Markdown lines: a row for each target and way, mIoU as mean (each seed's) by rate."""
    rates = sorted({case["rate"] for case in cases})
    head = ["target", "trained", "parameters", *(f"mIoU, rate {rate:g}" for rate in rates)]
    rows = [[*head, "CPU time of a step", "delta"]]
    for target, way in dict.fromkeys((case["target"], case["way"]) for case in cases):
        found = [case for case in cases if (case["target"], case["way"]) == (target, way)]
        share = f"{found[0]['trained']:,} ({found[0]['trained'] / found[0]['parameters']:.1%})"
        scores = [_scores([case for case in found if case["rate"] == rate]) for rate in rates]
        time = f"{statistics.median(case['step_ms'] for case in found):.0f} ms"
        rows.append([target, way, share, *scores, time, _size(found[0]["delta_bytes"])])
    return table(rows)


def _scores(cases: list[Case]) -> str:
    scores = [case["miou"] for case in sorted(cases, key=lambda case: case["seed"])]
    if not scores:
        return "-"
    each = f" ({', '.join(f'{score:.1f}' for score in scores)})" if len(scores) > 1 else ""
    return f"{statistics.mean(scores):.1f}{each}"


def _size(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:.1f} MB"
