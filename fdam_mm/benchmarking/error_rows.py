"""The table of errors, of :mod:`.errors`."""

from collections.abc import Sequence
from typing import Any


def error_rows(cases: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A row per subject, a column per type, in each its errors one after the other."""
    kinds = max((case["errors"] for case in cases), key=len)
    dtypes = list(dict.fromkeys(case["dtype"] for case in cases))
    subjects: dict[str, dict[str, str]] = {}
    for case in cases:
        cell = " / ".join(
            f"{case['errors'][k]:.1e}" if k in case["errors"] else "-" for k in kinds
        )
        subjects.setdefault(case["subject"], {})[case["dtype"]] = cell
    head = [f"relative error: {' / '.join(kinds)}", *dtypes]
    return [head, *([name, *(found[t] for t in dtypes)] for name, found in subjects.items())]
