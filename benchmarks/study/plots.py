"""Plots of the study's results, as SVG."""

import statistics
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from scores import BySeed, score

matplotlib.rcParams["svg.hashsalt"] = "study"  # the same file from the same results
_RED = "#d62728"
_EMPHASISED = {"plain": "black", "FDAM": _RED}
_COLOURS = [c for c in map(to_hex, matplotlib.colormaps["tab20"].colors) if c != _RED]


def plot_scores(results: Mapping[str, BySeed], file: Path) -> None:
    """A point for each seed and a line at the mean, variant by variant; dotted, plain's mean."""
    figure = Figure(figsize=(7, 0.4 * len(results) + 1), layout="constrained")
    axes = figure.subplots()
    for row, (variant, runs) in enumerate(results.items()):
        scores = [score(run) for run in runs.values()]
        mean = statistics.mean(scores)
        axes.plot(scores, [row] * len(scores), "o", alpha=0.6, color="#1f77b4")
        axes.plot([mean, mean], [row - 0.3, row + 0.3], color=_RED)
        if variant == "plain":
            axes.axvline(mean, color="black", linestyle=":", linewidth=1)
    axes.set_yticks(range(len(results)), list(results))
    axes.invert_yaxis()
    axes.set_xlabel("mIoU on the test pictures, %")
    axes.grid(axis="x", alpha=0.3)
    _save(figure, file)


def plot_layers(results: Mapping[str, BySeed], file: Path) -> None:
    """High-frequency ratio and effective rank over the layers, mean over seeds."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    both = figure.subplots(1, 2)
    colours = iter(_COLOURS)
    for variant, runs in results.items():
        colour = _EMPHASISED.get(variant) or next(colours)
        width = 2.5 if variant in _EMPHASISED else 1.2
        for axes, key in zip(both, ("high_frequency_ratio", "effective_rank"), strict=True):
            values = [[layer[key] for layer in run["layers"]] for run in runs.values()]
            axes.plot(np.mean(values, axis=0), label=variant, color=colour, linewidth=width)
            axes.set_xlabel("layer")
            axes.set_ylabel(key.replace("_", " "))
            axes.grid(alpha=0.3)
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside right", fontsize=7)
    _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, metadata={"Date": None})
