"""Charts as SVG texts, drawn by matplotlib."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

import numpy as np

Line = tuple[str, Sequence[float], Sequence[float]]
"""A name with x and y."""

COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#bf3989", "#57606a", "#0a7ea4")
_DASHES = ("-", "--", ":", "-.")


def line_chart(
    title: str, lines: Sequence[Line], xlabel: str, ylabel: str = "", **settings: Any
) -> str:
    """Lines with a legend below, as an SVG element.

    Args:
        settings: Of matplotlib's axes: ``yscale``, ``xlim``, ``ylim``.
    """
    with svg_figure(5.2, 3.0 + 0.17 * -(-len(lines) // 3)) as figure:
        axes: Any = figure.subplots()
        for index, (name, x, y) in enumerate(lines):
            colour, dash = index % len(COLOURS), index // len(COLOURS) % len(_DASHES)
            axes.plot(
                x, y, _DASHES[dash], color=COLOURS[colour], label=_shown(name), linewidth=1.4,
                marker="o" if len(x) < 25 else "", markersize=3,
            )  # fmt: skip
        style_axes(axes, title, xlabel=xlabel, ylabel=ylabel, **settings)
        if "xlim" not in settings:
            axes.xaxis.get_major_locator().set_params(integer=True)
        if len(lines) > 1:
            figure.legend(loc="outside lower center", ncols=3, fontsize=7.5, frameon=False)
        return to_svg(figure)


def style_axes(axes: Any, title: str, **settings: Any) -> None:
    """How all axes of lines look; ``settings`` are matplotlib's of axes."""
    axes.set(**settings)
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(color="#e6e8eb", linewidth=0.7)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def matrix_chart(shares: np.ndarray) -> str:
    """A confusion matrix (K, K) of quotients that is too large for a table."""
    with svg_figure(6, 5.2) as figure:
        axes: Any = figure.subplots()
        drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.set(xlabel="predicted class (number)", ylabel="true class (number)")
        figure.colorbar(drawn, label="share of the true class")
        return to_svg(figure)


@contextmanager
def svg_figure(width: float, height: float) -> Iterator[Any]:
    """A figure of so many inches. Texts stay texts, and names are no formulas."""
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = {"svg.fonttype": "none", "text.parse_math": False}
    with matplotlib.rc_context(settings):
        yield Figure(figsize=(width, height), layout="constrained")


def to_svg(figure: Any) -> str:
    """The ``<svg>`` element alone."""
    text = StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _shown(name: str) -> str:
    """matplotlib leaves names that start with ``_`` out of legends."""
    return f"\u200b{name}" if name.startswith("_") else name
