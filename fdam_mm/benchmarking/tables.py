"""Tables of README and docs, written from the committed results.

In a text a table stands between ``<!-- bench: NAME -->`` and ``<!-- /bench -->``; it is the table
of ``benchmarks/results/NAME.json``: times and memory, or errors. ``<!-- counts: NAME -->`` begins
that of the operations and bytes of the same file, ``<!-- refusals: NAME -->`` that of what was
refused.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .error_rows import error_rows
from .exports import exports_table, refusals_table
from .markdown import table
from .profiles import profiles_table
from .results import read_results
from .trainings import trainings_table

_MEMORY = {
    "saved_over_input": "kept for the backward, over the input",
    "saved_mib": "kept for the backward, MiB",
    "peak_mib": "peak memory, MiB",
}
_COUNTS = {"gflop": "GFLOP", "moved_mib": "MiB moved", "calls": "calls"}
_TABLE = re.compile(
    r"(?P<start> *<!-- (?P<kind>bench|counts|refusals): (?P<name>[\w-]+) -->\n).*?"
    r"(?P<end> *<!-- /(?P=kind) -->)",
    re.DOTALL,
)


def with_tables(text: str, results: Path) -> str:
    """``text`` with each of its tables as the results in that folder have it."""

    def replaced(found: re.Match[str]) -> str:
        indent = " " * (len(found["start"]) - len(found["start"].lstrip()))
        lines = _MAKERS[found["kind"]](read_results(results / f"{found['name']}.json"))
        body = "".join(f"{indent}{line}".rstrip() + "\n" for line in lines)
        return found["start"] + body + found["end"]

    return _TABLE.sub(replaced, text)


def make_table(results: Mapping[str, Any]) -> list[str]:
    """Markdown lines: a row for each subject, and where it was measured; or those of a kind."""
    cases = results["cases"]
    if results.get("kind") == "trainings":
        lines = trainings_table(cases)
    elif results.get("kind") == "exports":
        lines = exports_table(cases)
    elif results.get("kind") == "profiles":
        lines = profiles_table(cases)
    else:
        lines = table((error_rows if "errors" in cases[0] else _time_rows)(cases))
    return [*lines, "", f"`{results['command']}`: {_circumstances(results)}"]


def make_table_of_counts(results: Mapping[str, Any]) -> list[str]:
    """Markdown lines: a row for each subject, GFLOP and MiB moved, and their ratios."""
    base, *others = results["cases"][0]["variants"]
    rows: list[list[str]] = []
    for title, found in _by_subject(results["cases"]).items():
        variants = [case["variants"] for case in found]
        cells = [" / ".join(f"{v[base][key]:.3g}" for v in variants) for key in _COUNTS]
        for name in others:
            for key in _COUNTS:
                ratios = (v[name][key] / v[base][key] for v in variants)
                cells.append(" / ".join(f"{ratio:.2f}" for ratio in ratios))
        if not rows:
            modes = " / ".join(case["mode"] for case in found)
            head = [f"{base}, {unit}, {modes}" for unit in _COUNTS.values()]
            head += [f"{n} over {base}, {u}" for n in others for u in _COUNTS.values()]
            rows.append(["", *head])
        rows.append([title, *cells])
    return table(rows)


_MAKERS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "bench": make_table,
    "counts": make_table_of_counts,
    "refusals": lambda results: refusals_table(results["cases"]),
}


def _time_rows(cases: list[dict[str, Any]]) -> list[list[str]]:
    """Milliseconds, their ratios, and memory where it was measured."""
    names = list(cases[0]["variants"])
    base, others = names[0], names[1:]
    subjects = _by_subject(cases)
    modes = " / ".join(case["mode"] for case in next(iter(subjects.values())))
    head = ["", f"{base}, {modes}"]
    head += [f"{name} over {base}" for name in others]
    memory = next((key for key in _MEMORY if _of_key(cases, key)), None)
    if memory:
        head.append(f"{_MEMORY[memory]}: {', '.join(names)}")
    rows = [head]
    for title, found in subjects.items():
        cells = [" / ".join(_milliseconds(case["variants"][base]) for case in found)]
        for name in others:
            ratios = (
                c["variants"][name]["ratio"]["median"] for c in found if name in c["variants"]
            )
            cells.append(" / ".join(f"{ratio:.2f}" for ratio in ratios) or "-")
        if memory:
            cells.append(", ".join(f"{value:.4g}" for value in _of_key(found, memory)))
        rows.append([title, *cells])
    return rows


def _of_key(cases: list[dict[str, Any]], key: str) -> list[float]:
    """A figure of all variants, in the last of the cases that has it: the training step."""
    found = [c["variants"].values() for c in cases if key in next(iter(c["variants"].values()))]
    return [variant[key] for variant in found[-1]] if found else []


def _by_subject(cases: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What was measured of the same thing, inference and training step say, in one row."""
    subjects: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        subjects.setdefault(_title(case), []).append(case)
    return subjects


def _title(case: Mapping[str, Any]) -> str:
    parts = [case[key] for key in ("block", "layer", "config") if key in case]
    if "dim" in case:
        parts.append(f"dim {case['dim']}, {case['grid']} x {case['grid']} tokens")
    if "shape" in case:
        parts.append("{} x {} pixels".format(*case["shape"]))
    parts.append(f"batch {case['batch']}")
    if case.get("dtype", "float32") != "float32":
        parts.append(case["dtype"])
    return ", ".join(map(str, parts))


def _milliseconds(found: Mapping[str, Any]) -> str:
    return f"{found['ms']['median']:.3g} ms"


def _circumstances(results: Mapping[str, Any]) -> str:
    machine, load = results["machine"], results["load"]
    threads = f"{machine['threads']} thread{'s' if machine['threads'] != 1 else ''}"
    text = f"{machine['device']}, {threads}, torch {machine['torch']}"
    if load["before"] is None:
        return text
    return f"{text}, load average {load['before'][0]:.1f} on {machine['cores']} cores"
