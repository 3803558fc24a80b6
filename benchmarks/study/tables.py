"""Tables and plots of the study's results.

In a text a table stands between ``<!-- study: SETUP -->`` and ``<!-- /study -->``. Means are over
seeds; an interval is the difference from the plain model by paired bootstrap: seeds and blocks of
neighbouring pictures are drawn with replacement, the same for both. "FDAM, ..." and "AttInv, ..."
are also compared with FDAM and AttInv. Times of steps are those of ``step_times.py``.

examples:
  python benchmarks/study/tables.py docs/study.md
  python benchmarks/study/tables.py docs/study.md --plots docs/study
  python benchmarks/study/tables.py --results RESULTS     prints them
"""

import argparse
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from plots import plot_layers, plot_scores
from scores import (
    RESULTS,
    BySeed,
    Result,
    Times,
    bootstrap,
    iou,
    iou_of_classes,
    read_results,
    read_times,
    score,
)
from setups import SETUPS, Setup

from fdam_mm.benchmarking.markdown import table
from fdam_mm.files import write_atomically

_TABLE = re.compile(
    r"(?P<start><!-- study: (?P<name>\w+) -->\n).*?(?P<end><!-- /study -->)", re.DOTALL
)


def with_tables(text: str, folder: Path) -> str:
    """``text`` with each of its tables as the results in that folder have it."""

    def replaced(found: re.Match[str]) -> str:
        name = found["name"]
        results, times = read_results(folder, name), read_times(folder, name)
        lines = make_table(SETUPS[name], results, times)
        return found["start"] + "".join(f"{line}\n" for line in lines) + found["end"]

    return _TABLE.sub(replaced, text)


def make_table(setup: Setup, results: Mapping[str, BySeed], times: Times) -> list[str]:
    """Markdown lines: a row for each variant."""
    if not results:
        return ["No run yet."]
    segments = setup.data != "rotated"
    head = ["", "seeds", "mIoU" if segments else "mAP", "each seed"]
    if segments:
        head += ["over plain (95 %)", "over what it varies"]
        head += ["in validation", "thin classes", "boundary IoU"]
    head += ["parameters", "GFLOP", "time of a step over plain"]
    rows = [head]
    for variant, runs in results.items():
        scores = [score(run) for run in runs.values()]
        rows.append([variant, str(len(runs)), _mean(scores), _each(scores)])
        if segments:
            varied = variant.partition(", ")[0]
            rows[-1] += [_gain(runs, results.get(base, {})) for base in ("plain", varied)]
            rows[-1] += _further_scores(setup, runs)
        rows[-1] += _cost(next(iter(runs.values())), times.get(variant))
    return table(rows)


def _gain(runs: BySeed, base: BySeed) -> str:
    both = sorted(runs.keys() & base.keys())
    if runs is base or not both:
        return "-"
    mean, low, high = bootstrap([base[s] for s in both], [runs[s] for s in both])
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"


def _further_scores(setup: Setup, runs: BySeed) -> list[str]:
    chosen = [max(point["mIoU"] for point in run["validations"]) for run in runs.values()]
    thin = [100 * iou_of_classes(run, setup.thin) for run in runs.values()]
    boundary = [100 * float(np.mean(iou(run, "boundary"))) for run in runs.values()]
    return [_mean(chosen), _mean(thin), _mean(boundary)]


def _cost(run: Result, time: float | None) -> list[str]:
    flops = f"{run['backbone']['gflop']:.2f}"
    return [f"{run['parameters']:,}", flops, "-" if time is None else f"{time:.2f}"]


def _mean(scores: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(scores):.2f}" if len(scores) > 1 else ""
    return f"{statistics.mean(scores):.2f}{spread}"


def _each(scores: Sequence[float]) -> str:
    return ", ".join(f"{score:.2f}" for score in scores)


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
            lines = make_table(SETUPS[name], results, read_times(args.results, name))
            print(f"### {name}\n", *lines, "", sep="\n")
        if args.plots and SETUPS[name].data != "rotated":
            args.plots.mkdir(parents=True, exist_ok=True)
            plot_scores(results, args.plots / f"{name}.svg")
            plot_layers(results, args.plots / f"{name}_layers.svg")


if __name__ == "__main__":
    main()
