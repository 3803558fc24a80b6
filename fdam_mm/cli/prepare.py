"""Prepare a dataset: unpack or link it into the layout that the configs expect, and check it."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from fdam_mm.data.check.problems import shorten
from fdam_mm.data.prepare.ade20k import FOLDER, prepare_ade20k
from fdam_mm.data.prepare.coco import PANOPTIC_ZIP, has_panoptic, prepare_coco
from fdam_mm.data.prepare.dota import SplitReport, prepare_dota
from fdam_mm.data.prepare.dota_split import SCALES
from fdam_mm.errors import PreparationError

from .arguments import with_command
from .errors import clear_errors

EXAMPLE = """examples:
  COMMAND ade20k ~/Downloads/ADEChallengeData2016.zip data/ade
  COMMAND dota /datasets/DOTA data --split ss
  COMMAND coco ~/Downloads/coco data/coco
"""
ADE20K_EXAMPLE = """A zip is unpacked to DST/ADEChallengeData2016. For a folder, that path
becomes a symbolic link to it; the folder itself is neither moved nor changed.
Nothing is overwritten.

examples:
  COMMAND ade20k ~/Downloads/ADEChallengeData2016.zip data/ade
  COMMAND ade20k /datasets/ADEChallengeData2016 data/ade
"""
DOTA_EXAMPLE = """SRC holds train/, val/ and test/, or some of them, each with images/NAME.png and
labelTxt/NAME.txt (none for test), unpacked. The patches go to DST/split_ss_dota
or DST/split_ms_dota, where mmrotate's configs look for them. An interrupted run
goes on when it is started again. What cannot be read is skipped and listed, and
the exit code is 1 then.

examples:
  COMMAND dota /datasets/DOTA data --split ss
  COMMAND dota /datasets/DOTA data --split ms --workers 8
"""
MAX_WORKERS = 8  # when --workers is left out
COCO_EXAMPLE = """SRC holds train2017.zip, val2017.zip, annotations_trainval2017.zip and, for
panoptic training, panoptic_annotations_trainval2017.zip: they are unpacked to DST. Where SRC holds
them unpacked already, DST becomes a symbolic link to it; SRC is neither moved nor changed. Nothing
is overwritten.

examples:
  COMMAND coco ~/Downloads/coco data/coco
  COMMAND coco /datasets/coco data/coco
"""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=with_command(EXAMPLE),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="dataset", required=True, metavar="DATASET")
    add_ade20k(commands)
    add_dota(commands)
    add_coco(commands)
    return parser.parse_args(argv)


def add_dataset(
    commands: argparse._SubParsersAction, name: str, what: str, epilog: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=what,
        epilog=with_command(epilog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_ade20k(commands: argparse._SubParsersAction) -> None:
    parser = add_dataset(
        commands,
        "ade20k",
        "ADE20K, the 150 classes of the scene parsing challenge",
        ADE20K_EXAMPLE,
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


def add_dota(commands: argparse._SubParsersAction) -> None:
    parser = add_dataset(
        commands,
        "dota",
        "DOTA, aerial pictures with oriented boxes: split into patches",
        DOTA_EXAMPLE,
    )
    parser.add_argument("src", type=Path, help="folder with train/, val/ and test/")
    parser.add_argument("dst", type=Path, help="folder to hold the patches' folder: data")
    parser.add_argument(
        "--split",
        choices=SCALES,
        required=True,
        help="ss: patches of 1024 that share 200 pixels; ms: of 2048, 1024 and 682 (scales 0.5, "
        "1.0 and 1.5) that share 1000, 500 and 333",
    )
    workers = min(os.cpu_count() or 1, MAX_WORKERS)
    parser.add_argument(
        "--workers", type=int, default=workers, help="number of processes (%(default)s)"
    )
    parser.set_defaults(prepare=run_dota)


def run_dota(args: argparse.Namespace) -> str:
    """Split DOTA and return the lines to show.

    Raises:
        PreparationError: also when files were skipped; the message names them.
    """
    scales = SCALES[args.split]
    if args.workers < 1:
        raise PreparationError(f"--workers is {args.workers}, expected at least 1")
    try:
        report = prepare_dota(args.src.expanduser(), args.dst.expanduser(), scales, args.workers)
    except KeyboardInterrupt as error:
        raise PreparationError("interrupted; the same command goes on from there") from error
    summary = "\n".join([f"{args.dst / scales.folder}:", *dota_lines(report)])
    if report.skipped:
        skipped = "".join(f"\n  {line}" for line in report.skipped)
        raise PreparationError(f"skipped files ({len(report.skipped)}):{skipped}\n{summary}")
    return summary


def dota_lines(report: SplitReport) -> list[str]:
    """Describe what has been split."""
    lines: list[str] = []
    for split, pictures in report.done.items():
        patches, labels = sum(len(p.patches) for p in pictures), sum(p.labels for p in pictures)
        lines.append(f"  {split}: {len(pictures)} pictures, {patches} patches, {labels} labels")
        for where, count in (
            ("outside their picture", lambda picture: picture.outside),
            ("larger than the overlap and in no patch", lambda picture: picture.unseen),
        ):
            names = [picture.name for picture in pictures if count(picture)]
            if names:
                total = sum(map(count, pictures))
                lines.append(f"    objects {where}: {total}, in {shorten(names)}")
    return lines


def add_coco(commands: argparse._SubParsersAction) -> None:
    parser = add_dataset(
        commands, "coco", "COCO 2017: instances and, if there, panoptic segments", COCO_EXAMPLE
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


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    try:
        print(args.prepare(args))
    except OSError as error:  # the disk refuses
        raise PreparationError(str(error)) from error
