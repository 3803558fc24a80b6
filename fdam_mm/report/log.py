"""The scalars that the trainings in a work folder logged, by name."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Series = dict[int, float]
"""Values by iteration, or by epoch."""

SPECTRA = ("high_frequency_ratio/", "effective_rank/")
_NO_RESULTS = ("epoch", "iter", "step", "time", "data_time", "memory")


@dataclass(frozen=True)
class Log:
    """Curves of a training, which may have been resumed several times.

    Attributes:
        losses: ``loss`` first, then its terms.
        rates: Learning rates.
        metrics: What the validations measured.
        spectra: What :class:`fdam_mm.training.SpectrumHook` measured, "QUANTITY/LAYER".
    """

    losses: dict[str, Series]
    rates: dict[str, Series]
    metrics: dict[str, Series]
    spectra: dict[str, Series]


def read_log(work_dir: Path, run: str = "*") -> Log:
    """Read every ``*/vis_data/scalars.json``; where two hold a step, the later one counts.

    A validation logged by epochs in a training that counts iterations has step 0 each time, and
    COCO's evaluation says -1 of what it has nothing to measure on: the first stands at the
    iteration logged before it, the second nowhere. ``run`` names the folder of one training.
    """
    log = Log({}, {}, {}, {})
    for file in sorted(work_dir.glob(f"{run}/vis_data/scalars.json")):
        reached = 0
        for record in records(file):
            step = record.get("step")
            if isinstance(step, int):
                _add(log, step or reached, record)
                reached = max(reached, step)
    return log


def thinned(series: Mapping[int, float], most: int = 400) -> tuple[list[int], list[float]]:
    """Steps and values in order; neighbours are averaged where there are more than ``most``."""
    steps = sorted(series)
    width = -(-len(steps) // most) or 1
    groups = [steps[i : i + width] for i in range(0, len(steps), width)]
    return [g[-1] for g in groups], [sum(series[s] for s in g) / len(g) for g in groups]


def records(file: Path) -> Iterator[dict[str, Any]]:
    """The lines that are whole; a killed training may leave the half of one."""
    for line in file.read_text(errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def _add(log: Log, step: int, record: Mapping[str, Any]) -> None:
    trained = "loss" in record
    for name, value in record.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in _NO_RESULTS or not is_number or not math.isfinite(value):
            continue
        if name.startswith(SPECTRA):
            log.spectra.setdefault(name, {})[step] = value
        elif not trained:
            if value != -1:
                log.metrics.setdefault(name, {})[step] = value
        elif name == "lr" or name.startswith("lr/"):
            log.rates.setdefault(name, {})[step] = value
        elif "loss" in name:
            log.losses.setdefault(name, {})[step] = value
