"""Read every image and annotation of a config and report all problems.

Exit code: 0 without a problem, 1 otherwise.
"""

import argparse
from collections.abc import Sequence
from functools import partial

from tqdm import tqdm

from fdam_mm.data.check.sets import SPLITS, data_sets
from fdam_mm.training.config import read_config

from .arguments import add_config_arguments, parser
from .errors import clear_errors


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    arguments = parser(
        __doc__, "COMMAND configs/demo/vit_demo.py --cfg-options data_root=/data/demo"
    )
    add_config_arguments(arguments)
    arguments.add_argument(
        "--splits", nargs="+", choices=SPLITS, help="splits to check (all that the config has)"
    )
    return arguments.parse_args(argv)


@clear_errors
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    sets = data_sets(read_config(args.config, args.cfg_options), args.splits)
    num_pictures, seen = 0, set()
    for data, splits in sets.items():
        report = data.check(partial(tqdm, desc=" and ".join(splits)))
        num_pictures += report.num_pictures
        for problem in report.problems:
            entry = problem.path, problem.found
            if entry not in seen:  # a data set and an evaluator may read one file
                print(problem)
            seen.add(entry)
    found = f"{len(seen) or 'no'} problem{'s' * (len(seen) > 1)}"
    print(f"{num_pictures} pictures checked, {found}")
    return 1 if seen else 0
