"""Two folders of results beside one another: runs made twice, or on two machines.

A CPU gives the same numbers twice; another one, or another number of threads, sums in another
order, and small differences grow in a training.

examples:
  python benchmarks/study/run.py --camvid FOLDER --seeds 1 \\
      --results again/ --work-dir work_dirs/again
  python benchmarks/study/compare.py benchmarks/study/results again/
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scores import RESULTS, score

from fdam_mm.benchmarking.markdown import table

_OF_THE_MACHINE = ("machine", "load")


def compare(first: Path, second: Path) -> list[str]:
    """Markdown lines: a row for each run that both have."""
    rows = [["run", "first", "second", "all numbers"]]
    for name, same in equal_runs(first, second).items():
        runs = (json.loads((folder / f"{name}.json").read_text()) for folder in (first, second))
        scores = (f"{score(run):.2f}" for run in runs)
        rows.append([name, *scores, "equal" if same else "differ"])
    return table(rows)


def equal_runs(first: Path, second: Path) -> dict[str, bool]:
    """Of each run that both have, whether all but its times are equal."""
    files = (file.relative_to(first) for file in sorted(first.glob("*/*.json")))
    found = {}
    for file in (file for file in files if (second / file).exists()):
        one, other = (json.loads((folder / file).read_text()) for folder in (first, second))
        found[str(file.with_suffix(""))] = _measured(one) == _measured(other)
    return found


def _measured(run: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in run.items() if key not in _OF_THE_MACHINE}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path, help=f"folder of results, as {RESULTS.name}")
    parser.add_argument("second", type=Path)
    args = parser.parse_args()
    lines = compare(args.first, args.second)
    if len(lines) == 2:
        parser.error(f"{args.first} and {args.second} have no run in common")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
