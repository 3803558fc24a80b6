#!/usr/bin/env python
"""Prepare a dataset: unpack or link it into the layout that the configs expect, and check it."""

import argparse
import sys
from pathlib import Path

from fdam_mm.data.ade20k import FOLDER, prepare_ade20k
from fdam_mm.data.archives import PreparationError
from fdam_mm.data.coco import PANOPTIC_ZIP, has_panoptic, prepare_coco

EXAMPLE = """examples:
  python tools/prepare_data.py ade20k ~/Downloads/ADEChallengeData2016.zip data/ade
  python tools/prepare_data.py coco ~/Downloads/coco data/coco
"""
ADE20K_EXAMPLE = """A zip is unpacked to DST/ADEChallengeData2016. For a folder, that path
becomes a symbolic link to it; the folder itself is neither moved nor changed.
Nothing is overwritten.

examples:
  python tools/prepare_data.py ade20k ~/Downloads/ADEChallengeData2016.zip data/ade
  python tools/prepare_data.py ade20k /datasets/ADEChallengeData2016 data/ade
"""
COCO_EXAMPLE = """SRC holds train2017.zip, val2017.zip, annotations_trainval2017.zip and, for
panoptic training, panoptic_annotations_trainval2017.zip: they are unpacked to DST. Where SRC holds
them unpacked already, DST becomes a symbolic link to it; SRC is neither moved nor changed. Nothing
is overwritten.

examples:
  python tools/prepare_data.py coco ~/Downloads/coco data/coco
  python tools/prepare_data.py coco /datasets/coco data/coco
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="dataset", required=True, metavar="DATASET")
    add_ade20k(commands)
    add_coco(commands)
    return parser.parse_args()


def add_ade20k(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "ade20k",
        help="ADE20K, the 150 classes of the scene parsing challenge",
        epilog=ADE20K_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "src", type=Path, help="the official ADEChallengeData2016.zip, or the unpacked folder"
    )
    parser.add_argument("dst", type=Path, help="folder to hold ADEChallengeData2016: data/ade")
    parser.add_argument(
        "--allow-partial",
        action="store_true",
        help="accept other numbers of pictures than the official 20210 and 2000",
    )
    parser.set_defaults(prepare=run_ade20k)


def run_ade20k(args: argparse.Namespace) -> str:
    """Prepare ADE20K and return the line to show."""
    made = prepare_ade20k(args.src.expanduser(), args.dst.expanduser(), args.allow_partial)
    return f"{args.dst / FOLDER}: {'ready' if made else 'already prepared'}"


def add_coco(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "coco",
        help="COCO 2017: instances and, if there, panoptic segments",
        epilog=COCO_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("src", type=Path, help="folder with the official zips, or unpacked")
    parser.add_argument("dst", type=Path, help="the folder to make: data/coco")
    parser.add_argument(
        "--allow-partial",
        action="store_true",
        help="accept other numbers of pictures than the official 118287 and 5000",
    )
    parser.set_defaults(prepare=run_coco)


def run_coco(args: argparse.Namespace) -> str:
    """Prepare COCO and return the line to show."""
    dst = args.dst.expanduser()
    made = prepare_coco(args.src.expanduser(), dst, args.allow_partial)
    line = f"{dst}: {'ready' if made else 'already prepared'}"
    if not has_panoptic(dst):
        line += f", without panoptic segments; put {PANOPTIC_ZIP} into SRC for them, too"
    return line


def main() -> int:
    args = parse_args()
    try:
        message = args.prepare(args)
    except (PreparationError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(message)
    return 0


if __name__ == "__main__":
    sys.exit(main())
