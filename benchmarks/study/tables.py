"""Tables and plots of the study's results.

In a text a table stands between ``<!-- study: SETUP -->`` and ``<!-- /study -->``. Means are over
seeds; an interval is the difference from the plain model by paired bootstrap: seeds and blocks of
neighbouring pictures are drawn with replacement, the same for both. Times of steps are of
``step_times.py``.

examples:
  python benchmarks/study/tables.py docs/study.md
  python benchmarks/study/tables.py docs/study.md --plots docs/study
  python benchmarks/study/tables.py --results RESULTS     prints them
"""

import argparse
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from setups import SETUPS, Setup

from fdam_mm.benchmarking.markdown import table
from fdam_mm.files import write_atomically

RESULTS = Path(__file__).parent / "results"
STEP_TIMES = "step_times.json"  # in a folder of results
_DRAWS = 2000
_TABLE = re.compile(
    r"(?P<start><!-- study: (?P<name>\w+) -->\n).*?(?P<end><!-- /study -->)", re.DOTALL
)
Result = Mapping[str, Any]
BySeed = dict[int, Result]
Times = Mapping[str, float]  # of a step over plain, by variant


def read_results(folder: Path, setup: str) -> dict[str, BySeed]:
    """Of a setup: variant -> seed -> result, in the order of :mod:`setups`."""
    found: dict[str, BySeed] = {variant: {} for variant in SETUPS[setup].variants}
    for file in sorted((folder / setup).glob("*.json")):
        result = json.loads(file.read_text())
        found[result["variant"]][result["seed"]] = result
    return {variant: by_seed for variant, by_seed in found.items() if by_seed}


def read_times(folder: Path, setup: str) -> Times:
    """Median ratio of each variant's step to the plain one's; empty where none were measured."""
    file = folder / STEP_TIMES
    cases = json.loads(file.read_text())["cases"] if file.exists() else ()
    (variants,) = [case["variants"] for case in cases if case["setup"] == setup] or [{}]
    return {variant: found["ratio"]["median"] for variant, found in variants.items()}


def with_tables(text: str, folder: Path) -> str:
    """``text`` with each of its tables as the results in that folder have it."""

    def replaced(found: re.Match[str]) -> str:
        lines = table_of(found["name"], folder)
        return found["start"] + "".join(f"{line}\n" for line in lines) + found["end"]

    return _TABLE.sub(replaced, text)


def table_of(setup: str, folder: Path) -> list[str]:
    """Markdown lines: a row for each variant."""
    return make_table(SETUPS[setup], read_results(folder, setup), read_times(folder, setup))


def make_table(setup: Setup, results: Mapping[str, BySeed], times: Times) -> list[str]:
    if not results:
        return ["No run yet."]
    segments = setup.data != "rotated"
    head = ["", "seeds", "mIoU" if segments else "mAP", "each seed"]
    if segments:
        head += ["over plain (95 %)", "in validation", "thin classes", "boundary IoU"]
    head += ["parameters", "GFLOP", "time of a step over plain"]
    rows = [head]
    for variant, runs in results.items():
        rows.append([variant, str(len(runs)), *_scores(setup, runs, results.get("plain", {}))])
        rows[-1] += _cost(next(iter(runs.values())), times.get(variant))
    return table(rows)


def _scores(setup: Setup, runs: BySeed, plain: BySeed) -> list[str]:
    scores = [score(run) for run in runs.values()]
    if setup.data == "rotated":
        return [_mean(scores), _each(scores)]
    thin = [100 * _of_classes(run, setup.thin) for run in runs.values()]
    boundary = [100 * float(np.mean(iou(run, "boundary"))) for run in runs.values()]
    both = sorted(runs.keys() & plain.keys())
    gain = "-"
    if runs is not plain and both:
        mean, low, high = bootstrap([plain[s] for s in both], [runs[s] for s in both])
        gain = f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
    chosen = [max(point["mIoU"] for point in run["validations"]) for run in runs.values()]
    return [_mean(scores), _each(scores), gain, _mean(chosen), _mean(thin), _mean(boundary)]


def score(run: Result) -> float:
    """mIoU on the test pictures, or mAP of rotated boxes at the last validation; %."""
    if "test" in run:
        return 100 * float(np.mean(iou(run, "area")))
    return 100 * float(run["validations"][-1]["dota/mAP"])


def iou(run: Result, kind: str) -> np.ndarray:
    """(K,): IoU of each class over all test pictures; ``kind`` is ``area`` or ``boundary``."""
    both, either = np.sum(run["test"][kind], axis=0)
    return both / np.maximum(either, 1)


def _of_classes(run: Result, names: Sequence[str]) -> float:
    return float(np.mean([iou(run, "area")[run["classes"].index(name)] for name in names]))


def bootstrap(plain: Sequence[Result], variant: Sequence[Result]) -> tuple[float, float, float]:
    """Gain in points of mIoU over the plain runs of the same seeds: mean and 95 % interval."""
    counts = np.array([[run["test"]["area"] for run in runs] for runs in (plain, variant)])
    _, seeds, blocks = counts.shape[:3]  # (2, S, B, 2, K)
    draw = np.random.default_rng(0)

    def gain(of_seeds: np.ndarray, of_blocks: np.ndarray) -> float:
        drawn = counts[:, of_seeds][:, :, of_blocks].sum(2)  # (2, S, 2, K)
        score = (drawn[:, :, 0] / np.maximum(drawn[:, :, 1], 1)).mean((1, 2))
        return float(100 * (score[1] - score[0]))

    gains = [
        gain(draw.integers(0, seeds, seeds), draw.integers(0, blocks, blocks))
        for _ in range(_DRAWS)
    ]
    low, high = np.percentile(gains, [2.5, 97.5])
    return gain(np.arange(seeds), np.arange(blocks)), float(low), float(high)


def _cost(run: Result, time: float | None) -> list[str]:
    flops = f"{run['backbone']['gflop']:.2f}"
    return [f"{run['parameters']:,}", flops, "-" if time is None else f"{time:.2f}"]


def _mean(scores: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(scores):.2f}" if len(scores) > 1 else ""
    return f"{statistics.mean(scores):.2f}{spread}"


def _each(scores: Sequence[float]) -> str:
    return ", ".join(f"{score:.2f}" for score in scores)


def plot_scores(setup: Setup, results: Mapping[str, BySeed], file: Path) -> None:
    """A point for each seed and a line at the mean, variant by variant."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 0.4 * len(results) + 1), layout="constrained")
    for row, runs in enumerate(results.values()):
        scores = [score(run) for run in runs.values()]
        axes.plot(scores, [row] * len(scores), "o", alpha=0.6, color="#1f77b4")
        axes.plot([statistics.mean(scores)] * 2, [row - 0.3, row + 0.3], color="#d62728")
    axes.set_yticks(range(len(results)), list(results))
    axes.invert_yaxis()
    axes.set_xlabel("mIoU on the test pictures, %")
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(file)
    plt.close(figure)


def plot_layers(results: Mapping[str, BySeed], file: Path) -> None:
    """High-frequency ratio and effective rank over the layers, mean over seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, both = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axes, key in zip(both, ("high_frequency_ratio", "effective_rank"), strict=True):
        for variant, runs in results.items():
            values = [[layer[key] for layer in run["layers"]] for run in runs.values()]
            axes.plot(np.mean(values, axis=0), label=variant)
        axes.set_xlabel("layer")
        axes.set_ylabel(key.replace("_", " "))
        axes.grid(alpha=0.3)
    both[1].legend(fontsize=7)
    figure.savefig(file)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", type=Path, nargs="*")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--plots", type=Path, help="folder for SVGs")
    args = parser.parse_args()
    for file in args.texts:
        write_atomically(file, with_tables(file.read_text(), args.results))
    found = {name: results for name in SETUPS if (results := read_results(args.results, name))}
    for name, results in found.items():
        if not args.texts:
            print(f"### {name}\n", *table_of(name, args.results), "", sep="\n")
        if args.plots and SETUPS[name].data != "rotated":
            args.plots.mkdir(parents=True, exist_ok=True)
            plot_scores(SETUPS[name], results, args.plots / f"{name}.svg")
            plot_layers(results, args.plots / f"{name}_layers.svg")


if __name__ == "__main__":
    main()
