"""Tables of README and docs, written from the committed results.

In a text a table stands between ``<!-- bench: NAME -->`` and ``<!-- /bench -->``; it is the table
of ``benchmarks/results/NAME.json``.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .results import read_results
from .trainings import trainings_table

_TABLE = re.compile(
    r"(?P<start> *<!-- bench: (?P<name>[\w-]+) -->\n).*?(?P<end> *<!-- /bench -->)", re.DOTALL
)


def with_tables(text: str, results: Path) -> str:
    """``text`` with each of its tables as the results in that folder have it."""

    def table(found: re.Match[str]) -> str:
        indent = " " * (len(found["start"]) - len(found["start"].lstrip()))
        lines = make_table(read_results(results / f"{found['name']}.json"))
        body = "".join(f"{indent}{line}".rstrip() + "\n" for line in lines)
        return found["start"] + body + found["end"]

    return _TABLE.sub(table, text)


def make_table(results: Mapping[str, Any]) -> list[str]:
    """Markdown lines: a row for each case, its milliseconds and ratios; or those of a kind."""
    cases = results["cases"]
    last = ["", f"`{results['command']}`: {_circumstances(results)}"]
    if results.get("kind") == "trainings":
        return [*trainings_table(cases), *last]
    if results.get("kind") == "exports":
        return [*exports_table(cases), *last]
    names = list(cases[0]["variants"])
    base, others = names[0], names[1:]
    subjects = _by_subject(cases)
    modes = " / ".join(case["mode"] for case in next(iter(subjects.values())))
    head = ["", f"{base}, {modes}"]
    head += [f"{name} over {base}" for name in others]
    rows = [head, ["---"] * len(head)]
    for title, found in subjects.items():
        cells = [" / ".join(_milliseconds(case["variants"][base]) for case in found)]
        for name in others:
            cells.append(
                " / ".join(f"{c['variants'][name]['ratio']['median']:.2f}" for c in found)
            )
        rows.append([title, *cells])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [*lines, *last]


def exports_table(cases: list[dict[str, Any]]) -> list[str]:
    """A row for each export that ``benchmarks/export.py`` measured."""
    lines = [
        "| model, data | export | largest error of a logit | pixels that change class | "
        "mIoU, torch and onnxruntime |",
        "|---|---|---|---|---|",
    ]
    for case in cases:
        begin = f"| {case['model']}, {case['data']} | {_export(case)} |"
        if "reason" in case:
            lines.append(f"{begin} refused: {case['reason']} | | |")
            continue
        checked, miou = case["checked"], case["miou"]
        error = checked["largest_error"] / checked["largest_logit"]
        lines.append(
            f"{begin} {error:.1e} of the largest | {checked['changed']:.3%} of "
            f"{checked['inputs']} pictures | {miou['torch']:.2f}, {miou['onnx']:.2f} on "
            f"{miou['pictures']} pictures |"
        )
    return lines


def _export(case: Mapping[str, Any]) -> str:
    if case["way"] == "dynamic":
        return "any size, fp32"
    size = "{} x {}, ".format(*case["size"]) if case.get("size") else ""
    return f"{size}{case['way']}"


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
