"""``fdam data convert``: own data in another format, with counts before and after."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from .arguments import parser
from .errors import clear_errors

if TYPE_CHECKING:
    from fdam_mm.data.own import Conversion

_DESCRIPTION = """Write own data in another format. Pictures are linked (copied where links
cannot be), nothing is overwritten, what the format cannot hold is refused or said, and what was
written is read back and counted. The same command goes on after an interruption."""
_EXAMPLE = """COMMAND photos_voc/ photos/ --to coco
  COMMAND labelme/ masks/ --to masks"""


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, convert and print the counts."""
    arguments = parser(_DESCRIPTION, _EXAMPLE)
    arguments.add_argument("source", help="folder of any format that `fdam data inspect` knows")
    arguments.add_argument("target", help="new folder")
    arguments.add_argument(
        "--to", required=True, choices=("coco", "masks", "dota", "yolo", "labelme"),
        help="coco (panoptic sets stay panoptic), masks for mmseg, dota for rotated boxes",
    )  # fmt: skip
    arguments.add_argument("--format", help="of the source, where several fit")
    args = arguments.parse_args(argv)
    from tqdm import tqdm

    from fdam_mm.data.own import convert

    bar = partial(tqdm, desc="convert", leave=False, disable=None)
    done = convert(args.source, args.target, args.to, args.format, bar)
    print("\n".join(summary(done)))


def summary(done: "Conversion") -> Iterator[str]:
    """The lines that are printed: counts before and after, and what is not as it was."""
    before, after = done.before, done.after
    yield f"{before.folder} ({before.format}) -> {after.folder} ({after.format})"
    new = {c.name: c for c in after.classes}
    old = {c.name: c for c in before.classes}
    names = [c.name for c in (*before.classes, *after.classes)]
    names = [n for n in dict.fromkeys(names) if (old.get(n) or new[n]).pictures or n not in old]
    width = max(8, *map(len, names)) if names else 8
    yield f"  {'':<{width}}  {'before':>22}  {'after':>22}"
    yield f"  {'pictures':<{width}}  {len(before.pictures):>22,}  {len(after.pictures):>22,}"
    for name in names:
        cells = (_cell(found.get(name)) for found in (old, new))
        yield f"  {name:<{width}}  " + "  ".join(f"{cell:>22}" for cell in cells)
    for note, count in done.notes.items():
        yield f"  note: {count:,} {note}"
    if done.copied:
        yield f"  note: {done.copied:,} pictures copied, for they could not be linked"


def _cell(found: object) -> str:
    objects, pixels = getattr(found, "objects", 0), getattr(found, "pixels", 0)
    return f"{objects:,} / {pixels:,} px" if objects else f"{pixels:,} px" if found else "-"
