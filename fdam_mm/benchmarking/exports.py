"""The tables of ``benchmarks/export.py``: what is exported, how exactly, and what is refused."""

from collections.abc import Mapping
from typing import Any

from .markdown import table

Case = Mapping[str, Any]
RUNTIMES = ("onnxruntime", "openvino")


def exports_table(cases: list[Case]) -> list[str]:
    """Markdown lines: a row for each model and precision, of one size beside any size."""
    rows = [[
        "model", "precision", "batch", "of one size: onnxruntime, OpenVINO",
        "of any size: onnxruntime, OpenVINO", "pixels that change",
        "metric: torch, export, that of any size",
    ]]  # fmt: skip
    for key in dict.fromkeys(map(_key, cases)):
        found = [case for case in cases if _key(case) == key and "checks" in case]
        if not found:
            continue
        name, data, precision = key
        sizes = [next((c for c in found if c["any_size"] == each), None) for each in (False, True)]
        batch = " and ".join(dict.fromkeys("any" if not c["batch"] else "1" for c in found))
        rows.append([
            name if data is None else f"{name}, trained", precision, batch,
            *map(_errors, sizes), _changed(found), _metric(found),
        ])  # fmt: skip
    return table(rows)


def refusals_table(cases: list[Case]) -> list[str]:
    """Markdown lines: what is not exported, and what a user is told."""
    rows = [["model", "message"]]
    for case in cases:
        if "reason" in case:
            name = [case["model"]]
            name += [case["precision"]] * (case["precision"] != "fp32")
            name += ["of any size"] * case["any_size"]
            rows.append([", ".join(name), f"`{case['reason']}`".replace("|", "\\|")])
    return table(rows)


def _key(case: Case) -> tuple[str, str | None, str]:
    return case["model"], case["data"], case["precision"]


def _errors(case: Case | None) -> str:
    """The largest error over the largest value, in each runtime."""
    if case is None:
        return "-"
    checks = [case["checks"].get(runtime) for runtime in RUNTIMES]
    errors = ", ".join(
        f"{c['largest_error'] / c['largest_logit']:.1e}" if c else "not run" for c in checks
    )
    return errors if case["size"] is None else "{} x {}: {}".format(*case["size"], errors)


def _changed(cases: list[Case]) -> str:
    """The largest share in any runtime."""
    checks = [check for case in cases for check in case["checks"].values()]
    return f"{max(check['changed'] for check in checks):.3%} of {checks[0]['inputs']} pictures"


def _metric(cases: list[Case]) -> str:
    found = [case["metric"] for case in cases if case.get("metric")]
    if not found:
        return "-"
    values = ", ".join(f"{v:.4g}" for v in [found[0]["torch"], *(m["onnx"] for m in found)])
    return f"{found[0]['name']} {values} on {found[0]['pictures']} pictures"
