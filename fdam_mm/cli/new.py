"""``fdam new``: a folder to start a training of own data from."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from fdam_mm.errors import UsageError

from .arguments import parser
from .errors import clear_errors

_DESCRIPTION = """Write a folder with a config for own data, its twin without FDAM, the classes and
the split: a starting point to edit, whose numbers follow from the data and this machine."""
_EXAMPLE = """COMMAND nuts --data photos/
  COMMAND streets --data camvid/ --model segformer-b0 --plain
  COMMAND nuts --data photos/ --from-scratch"""


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, look at the data and write."""
    arguments = parser(_DESCRIPTION, _EXAMPLE)
    arguments.add_argument("name", type=Path, help="the folder to write; it must not be there")
    arguments.add_argument("--data", required=True, help="folder with pictures and labels")
    arguments.add_argument(
        "--model",
        help="segformer-b0, deit3-b, mask-dino-r50, mask-dino-tiny, lsknet-s-oriented or "
        "timm:NAME (what fits the labels' task)",
    )
    arguments.add_argument(
        "--task",
        choices=("semantic", "instance", "panoptic", "boxes", "oriented"),
        help="another than the labels' own, where they serve it: objects with masks as label maps",
    )
    arguments.add_argument("--plain", action="store_true", help="without FDAM; the twin has it")
    arguments.add_argument(
        "--from-scratch",
        action="store_true",
        help="from drawn weights: nothing is fetched, all norms are trained, nothing is frozen",
    )
    arguments.add_argument(
        "--tile",
        type=int,
        metavar="SIDE",
        help="of the tiles that pictures with rotated boxes are cut into, in pixels (by the data)",
    )
    arguments.add_argument("--format", help="of the labels, where several fit")
    args = arguments.parse_args(argv)
    from tqdm import tqdm

    from fdam_mm.data.own import READERS, inspect
    from fdam_mm.starting import TASKS, write_start

    if args.format is not None and args.format not in READERS:
        raise UsageError(f"--format {args.format}, expected one of {', '.join(READERS)}")
    bar = partial(tqdm, leave=False, disable=None)
    found = inspect(args.data, args.format, check=False, progress=bar)
    task = TASKS[args.task] if args.task else None
    numbers = write_start(
        found, args.name, args.model, args.plain,
        progress=bar, task=task, scratch=args.from_scratch, tile=args.tile,
    )  # fmt: skip
    if numbers.unseen:
        lost = ", ".join(f"{n} of {name}" for name, n in numbers.unseen.items())
        print(
            f"note: objects longer than the {numbers.overlap} pixels that tiles share are in no "
            f"tile: {lost}; larger tiles hold them (--tile SIDE)"
        )
    if args.from_scratch and not args.plain:
        print(
            "note: from drawn weights our segmentors were no better with FDAM on scenes that they "
            f"had not seen (docs/study.md); {args.name}/plain.py is the same without it"
        )
    print(
        f"{args.name}/config.py: crop {numbers.side}, batch {numbers.batch}, {numbers.iterations} "
        f"iterations, learning rate {numbers.rate}\n"
        f"next: fdam train {args.name}/config.py --work-dir work_dirs/{args.name.name}"
    )
