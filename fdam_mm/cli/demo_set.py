"""Write the demo set: drawn scenes, labelled, in the layout that a toolkit reads."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from fdam_mm.data.demo.demo_set import LAYOUTS, write_demo_set
from fdam_mm.errors import UsageError

from .arguments import parser
from .errors import clear_errors


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    arguments = parser(__doc__, "COMMAND data/demo_coco --layout coco --train 512")
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
    return arguments.parse_args(argv)


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    try:
        write_demo_set(args.root, args.train, args.val, args.size, args.seed, args.layout)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    print(f"{args.root}: {args.train} training and {args.val} validation pictures")
