"""A picture of how cost grows with the number of tokens."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdam_mm.files import write_atomically


def plot_growth(results: Mapping[str, Any], path: Path) -> None:
    """Draw milliseconds over tokens, logarithmic both, into a PNG: a line for each variant.

    Args:
        results: Of :func:`.results.record`, with cases on several grids.
        path: The file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines: dict[tuple[Any, ...], list[tuple[int, float]]] = {}
    for case in results["cases"]:
        for name, found in case["variants"].items():
            point = (case["grid"] ** 2, found["ms"]["median"])
            lines.setdefault((case["mode"], case["dim"], case["batch"], name), []).append(point)
    figure = Figure(figsize=(10, 5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, mode in zip(figure.subplots(1, 2, sharey=True), ("inference", "step"), strict=True):
        for (of, dim, batch, name), points in lines.items():
            if of == mode:
                axes.plot(
                    *zip(*sorted(points), strict=True), "o-", label=f"{name}, {dim}, {batch}"
                )
        axes.set(xscale="log", yscale="log", title=mode, xlabel="tokens of a picture")
    figure.axes[0].set_ylabel("milliseconds")
    figure.axes[0].legend(title="variant, channels, batch", fontsize="small")
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=90)
    write_atomically(path, data.getvalue())
