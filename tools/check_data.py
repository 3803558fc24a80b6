"""Read every image and annotation of a segmentation config and report all problems.

Exit code: 0 without a problem, 1 otherwise.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from mmengine.config import Config, DictAction
from tqdm import tqdm

from fdam_mm.data.check import SPLITS, ConfigError, check_segmentation, segmentation_sets

EXAMPLE = """examples:
  python tools/check_data.py configs/CONFIG.py
  python tools/check_data.py configs/CONFIG.py --splits val \\
      --cfg-options val_dataloader.dataset.data_root=/datasets/ADEChallengeData2016
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=Path, help="config file")
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, metavar="K=V", help="override settings"
    )
    parser.add_argument(
        "--splits", nargs="+", choices=SPLITS, help="splits to check (all that the config has)"
    )
    return parser.parse_args()


def load_config(file: Path, options: dict | None) -> Config:
    """Load a config file and override settings."""
    config = Config.fromfile(file)
    config.merge_from_dict(options or {})
    return config


def main() -> int:
    args = parse_args()
    try:
        sets = segmentation_sets(load_config(args.config, args.cfg_options), args.splits)
    except (ConfigError, OSError) as error:
        print(f"error: {args.config}: {error}", file=sys.stderr)
        return 1
    num_pairs = num_problems = 0
    for data, splits in sets.items():
        report = check_segmentation(data, partial(tqdm, desc=" and ".join(splits), unit="pair"))
        num_pairs += report.num_pairs
        num_problems += len(report.problems)
        for problem in report.problems:
            print(problem)
    print(f"{num_pairs} pairs checked, {num_problems or 'no'} problem{'s' * (num_problems > 1)}")
    return 1 if num_problems else 0


if __name__ == "__main__":
    sys.exit(main())
