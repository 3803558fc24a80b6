"""Times by kind of operation, of ``benchmarks/profiles.py``."""

from collections.abc import Mapping
from typing import Any

from .markdown import table

KINDS = ("products", "FFTs", "elementwise", "copies", "calls")
_OF_NAMES = {
    "products": ("mm", "bmm", "conv", "dot_product"),
    "FFTs": ("_fft",),
    "copies": ("copy", "cat", "clone", "contiguous", "fill_", "zero_"),
}
_CALLS = (  # beginnings of names that compute nothing
    *("view", "reshape", "flatten", "expand", "permute", "transpose", "as_strided", "slice"),
    *("select", "split", "chunk", "squeeze", "narrow", "alias", "detach", "empty", "resolve"),
    *("result_type", "linear", "matmul", "einsum", "unbind", "unflatten", "unsqueeze"),
)
_WHOLE_CALLS = ("t", "to", "conj")


def kind_of(event: str) -> str:
    """One of :data:`KINDS` for a name of torch's profiler; ``calls`` are Python's and torch's
    own work: autograd's nodes, views, new memory and what only calls another operation."""
    scope, _, name = event.rpartition("::")
    if scope != "aten":
        return "calls"
    bare = name.strip("_")
    if bare in _WHOLE_CALLS or bare.startswith(_CALLS):
        return "calls"
    for kind, parts in _OF_NAMES.items():
        if any(part in name for part in parts):
            return kind
    return "elementwise"


def profiles_table(cases: list[dict[str, Any]]) -> list[str]:
    """Markdown lines: milliseconds of the plain twin, and what FDAM adds to them."""
    head = ["plain + FDAM's, ms", "", *KINDS, "all"]
    rows = [head]
    for case in cases:
        plain, fdam = case["variants"]["plain"], case["variants"]["fdam"]
        cells = [_sum(plain.get(kind, 0), fdam.get(kind, 0)) for kind in KINDS]
        total = _sum(_total(plain), _total(fdam))
        rows.append([case["subject"], case["mode"], *cells, total])
    return table(rows)


def _total(times: Mapping[str, float]) -> float:
    return sum(times.values())


def _sum(plain: float, fdam: float) -> str:
    return f"{plain:.2f} {'-' if fdam < plain else '+'} {abs(fdam - plain):.2f}"
