"""Results of a benchmark: one JSON file, with the machine and its load."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fdam_mm.errors import UsageError
from fdam_mm.files import write_atomically

from .machine import describe_machine, load_average

Cases = list[dict[str, Any]]


def record(command: str, device: str, run: Callable[[], Cases]) -> dict[str, Any]:
    """Run a benchmark and describe the circumstances."""
    before = load_average()
    cases = run()
    load = dict(before=before, after=load_average())
    return dict(command=command, machine=describe_machine(device), load=load, cases=cases)


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
