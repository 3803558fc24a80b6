"""AP of rotated boxes in this process.

Seen in mmrotate 1.2.1: every evaluation starts four Pythons, each of which imports torch and
what the caller's script imports, for work of milliseconds.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator
from itertools import starmap
from types import SimpleNamespace
from typing import Any


def compute_rotated_ap_here() -> None:
    """After mmrotate is imported."""
    importlib.import_module("mmrotate.evaluation.functional.mean_ap").get_context = _context


class _NoPool:
    """A pool without processes."""

    def __init__(self, processes: int) -> None: ...

    def starmap(self, function: Callable, rows: Iterable[tuple]) -> Iterator[Any]:
        return starmap(function, rows)

    def close(self) -> None: ...


def _context(method: str) -> Any:
    return SimpleNamespace(Pool=_NoPool)
