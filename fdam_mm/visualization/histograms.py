"""Histograms of classes and sizes as one picture."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np

_MOST = 80  # classes that have a bar


def class_and_size_histograms(
    names: Sequence[str], amounts: Sequence[float], unit: str, sides: Sequence[float], title: str
) -> bytes:
    """A PNG: bars of the classes that are there, the greatest first, beside a histogram of sizes.

    Args:
        names: Of the classes.
        amounts: Of each, on a logarithmic axis.
        unit: What the amounts are, such as "objects".
        sides: Square roots of areas in pixels.
        title: Above both.
    """
    from matplotlib.figure import Figure  # without pyplot: no window, no state

    there = np.count_nonzero(amounts)
    order = np.argsort(-np.asarray(amounts, float), kind="stable")[: min(_MOST, there)]
    tall = max(3.5, 0.2 * len(order) + 1.2)
    figure = Figure(figsize=(11, tall), layout="constrained")
    left, right = figure.subplots(1, 2)
    values = np.array([amounts[i] for i in order], float)
    left.barh([names[i] for i in order], values, color="#3b7dd8")
    left.invert_yaxis()
    left.set_xlabel(unit)
    if values.max(initial=0) > 50 * max(1.0, values[values > 0].min(initial=np.inf)):
        left.set_xscale("log")
    left.set_title(_classes(len(names), there))
    found = np.asarray([side for side in sides if side > 0], float)
    if len(found):
        low, high = max(1.0, found.min()), max(2.0, found.max())
        edges = np.geomspace(low, max(high, 1.01 * low), 31)
        right.hist(found, bins=edges, color="#d8783b")
        right.set_xscale("log")
        for side in (32, 96):  # COCO's small, medium and large
            right.axvline(side, color="#666666", linestyle="--", linewidth=1)
    right.set_xlabel("square root of the area in pixels (lines: 32 and 96)")
    right.set_ylabel("objects" if unit != "pixels" else "classes in a picture")
    right.set_title("sizes")
    figure.suptitle(title)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def _classes(count: int, there: int) -> str:
    """Which classes have bars."""
    if there > _MOST:
        return f"the {_MOST} largest classes"
    return "classes" if there == count else f"classes ({count - there} of {count} have none)"
