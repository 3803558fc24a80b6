#!/usr/bin/env python
"""Write the demo set: drawn scenes, labelled, in the layout that a toolkit reads."""

import argparse
from pathlib import Path

from fdam_mm.cli.arguments import parser
from fdam_mm.cli.errors import clear_errors
from fdam_mm.data.demo.demo_set import LAYOUTS, write_demo_set
from fdam_mm.errors import UsageError


def parse_args() -> argparse.Namespace:
    arguments = parser(__doc__, "tools/make_demo_set.py data/demo_coco --layout coco --train 512")
    arguments.add_argument("root", type=Path, help="folder to make; never overwritten")
    arguments.add_argument(
        "--layout", choices=LAYOUTS, default="ade20k", help="format of the files (%(default)s)"
    )
    arguments.add_argument(
        "--train", type=int, default=256, help="training pictures (%(default)s)"
    )
    arguments.add_argument("--val", type=int, default=32, help="validation pictures (%(default)s)")
    arguments.add_argument("--size", type=int, help="side in pixels (128, dota 192)")
    arguments.add_argument("--seed", type=int, default=0, help="seed (%(default)s)")
    return arguments.parse_args()


@clear_errors
def main() -> None:
    args = parse_args()
    try:
        write_demo_set(args.root, args.train, args.val, args.size, args.seed, args.layout)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    print(f"{args.root}: {args.train} training and {args.val} validation pictures")


if __name__ == "__main__":
    main()
