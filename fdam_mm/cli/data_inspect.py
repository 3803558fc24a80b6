"""``fdam data inspect``: what a folder of pictures and labels holds, and what is wrong with it."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from fdam_mm.errors import UsageError

from .arguments import parser
from .errors import clear_errors

if TYPE_CHECKING:
    from fdam_mm.data.own import Inspection

_DESCRIPTION = """Say what a folder holds: pictures, labels and their format, classes, splits,
everything wrong, and which task fits. Exit code: 0, or 1 where something is wrong."""
_TASKS = {
    "semantic": "semantic segmentation (a class for every pixel)",
    "instance": "instance segmentation (objects with masks)",
    "detection": "detection (upright boxes)",
    "oriented": "oriented detection (rotated boxes)",
    "panoptic": "panoptic segmentation (segments of all pixels)",
    "unlabelled": "none yet: pictures without labels, for `fdam predict`",
}
_MOST = 20  # problems that are printed


@clear_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line, look and print."""
    arguments = parser(_DESCRIPTION, "COMMAND photos/")
    arguments.add_argument("folder", help="with pictures and labels of any format that we read")
    arguments.add_argument("--format", help="take it as this one, where several fit")
    arguments.add_argument("--json", action="store_true", help="all of it, for programs")
    arguments.add_argument("--all", action="store_true", help="print every problem")
    args = arguments.parse_args(argv)
    from tqdm import tqdm

    from fdam_mm.data.own import READERS, inspect

    if args.format is not None and args.format not in READERS:
        raise UsageError(f"--format {args.format}, expected one of {', '.join(READERS)}")
    found = inspect(args.folder, args.format, progress=partial(tqdm, leave=False, disable=None))
    if args.json:
        print(json.dumps(found.to_json()))
    else:
        print("\n".join(summary(found, None if args.all else _MOST)))
    return 1 if found.problems else 0


def summary(found: "Inspection", most: int | None) -> Iterator[str]:
    """The lines that are printed; of the problems the first ``most``."""
    yield f"{found.folder}: {len(found.pictures)} pictures, format {found.format}"
    yield f"  labels    {found.labelled.details}"
    yield f"  task      {_TASKS[found.task]}"
    yield f"  sizes     {_sizes(found)}"
    yield f"  bands     {_listed(f'{p.bands} of {p.depth}' for p in found.pictures if p.size)}"
    turned = Counter(p.orientation for p in found.pictures if p.orientation != 1)
    if turned:
        yield f"  turned    {sum(turned.values())} by their EXIF orientation (read as seen)"
    yield f"  splits    {_splits(found)}"
    if found.classes:
        yield ""
        yield from _table(found)
    yield ""
    yield from _problems(found, most)
    yield ""
    yield from _next(found)


def _sizes(found: "Inspection") -> str:
    return _listed(f"{p.size[1]} x {p.size[0]}" for p in found.pictures if p.size)


def _listed(texts: Iterator[str]) -> str:
    counts = Counter(texts)
    shown = [f"{text} ({count})" for text, count in counts.most_common(4)]
    more = f" and {len(counts) - 4} more" if len(counts) > 4 else ""
    return ", ".join(shown) + more


def _splits(found: "Inspection") -> str:
    names = [f"{split} {count}" for split, count in found.splits.items() if split]
    none = found.splits.get(None, 0)
    if not names:
        return "none"
    return ", ".join(names) + (f", {none} without one" if none else "")


def _table(found: "Inspection") -> Iterator[str]:
    shown = [c for c in found.classes if c.pictures] or list(found.classes)
    width = max(5, *(len(c.name) for c in shown))
    total = max(1, sum(c.pixels for c in found.classes) + found.unlabelled_pixels)
    objects = found.task != "semantic"
    head = f"  {'class':<{width}}  {'pictures':>8}"
    yield head + (f"  {'objects':>8}" if objects else "") + f"  {'pixels':>13}   share"
    for c in shown:
        text = f"  {c.name:<{width}}  {c.pictures:>8,}" + (f"  {c.objects:>8,}" if objects else "")
        yield f"{text}  {c.pixels:>13,}  {c.pixels / total:>6.1%}"
    if len(shown) < len(found.classes):
        yield f"  and {len(found.classes) - len(shown)} classes of which no picture has any"
    if found.unlabelled_pixels:
        text = f"  {'(none)':<{width}}  {'':>8}" + (f"  {'':>8}" if objects else "")
        yield f"{text}  {found.unlabelled_pixels:>13,}  {found.unlabelled_pixels / total:>6.1%}"


def _problems(found: "Inspection", most: int | None) -> Iterator[str]:
    number = len(found.problems)
    yield f"{number or 'no'} problem{'' if number == 1 else 's'}"
    for problem in found.problems[:most]:
        yield f"  {problem}"
    if most is not None and number > most:
        yield f"  and {number - most} more, which --all prints"


def _next(found: "Inspection") -> Iterator[str]:
    if found.task == "unlabelled":
        yield f"next: fdam predict WORK_DIR {found.folder} --out result/"
    else:
        yield f"next: fdam new NAME --data {found.folder}"
