"""Results of a benchmark: one JSON file, with the machine and its load, that grows as it goes."""

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from fdam_mm.errors import UsageError
from fdam_mm.files import write_atomically

from .machine import describe_machine, load_average

Cases = list[dict[str, Any]]


class Measurement(NamedTuple):
    """A part of a benchmark whose cases are written together.

    Attributes:
        settings: What its cases hold, as JSON has it, and those of no other measurement.
        run: Measures them.
    """

    settings: dict[str, Any]
    run: Callable[[], Cases]


def measure_each(
    measurements: Sequence[Measurement],
    command: str,
    device: str,
    out: Path | None = None,
    end: float = math.inf,
    **about: Any,
) -> dict[str, Any]:
    """Run the measurements and describe the circumstances; a bar shows what remains.

    Args:
        measurements: In the order of their cases.
        command: That measures them.
        device: Where.
        out: Written after every measurement. What it holds already, of the same command on the
            same machine, is not measured again; anything else is written over.
        end: No measurement begins after that :func:`time.monotonic`.
        about: Further keys of the file.

    Raises:
        WriteError: ``out`` cannot be written.
    """
    before = load_average()
    results = dict(about, command=command, machine=describe_machine(device))
    results |= dict(load=dict(before=before, after=before), cases=[])
    if out is not None:
        results = _going_on(results, out)
    left = remaining(measurements, results["cases"])
    if len(left) < len(measurements):
        logging.getLogger(__name__).warning(
            "%s holds %d of %d measurements of this command; remove it to measure them anew",
            *(out, len(measurements) - len(left), len(measurements)),
        )
    with tqdm(total=len(measurements), initial=len(measurements) - len(left)) as bar:
        for measurement in left:
            if time.monotonic() > end:
                break
            bar.set_description(", ".join(map(str, measurement.settings.values())))
            results["cases"] += measurement.run()
            results["load"]["after"] = load_average()
            if out is not None:
                write_results(out, results)
            bar.update()
    return results


def remaining(measurements: Sequence[Measurement], cases: Cases) -> list[Measurement]:
    """Those that have no case yet."""
    return [m for m in measurements if not any(m.settings.items() <= c.items() for c in cases)]


def _going_on(results: dict[str, Any], out: Path) -> dict[str, Any]:
    """What ``out`` holds, if it differs from ``results`` in load and cases alone."""
    try:
        found = read_results(out)
    except UsageError:
        return results
    same = {**found, "load": results["load"], "cases": []} == results
    return found if same else results


def write_results(path: Path, results: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(results, indent=1, sort_keys=False) + "\n")


def read_results(path: Path) -> dict[str, Any]:
    """Raises UsageError where the file is not one of :func:`write_results`."""
    try:
        results = json.loads(path.read_text())
        results["command"], results["machine"]["device"], results["cases"][0]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(f"{path} holds no results of fdam bench ({reason})") from error
    return results
