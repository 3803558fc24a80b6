"""Merge the boxes of patches into whole pictures and write the zip file for DOTA's test server."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from fdam_mm.errors import UsageError
from fdam_mm.files import require_writable
from fdam_mm.oriented.dota_zip import read_submission, write_submission
from fdam_mm.oriented.patches import IOU_THRESHOLD, merge_patches, missing_patches
from fdam_mm.oriented.results import OrientedResults, load_results

from .arguments import parser
from .errors import clear_errors

MAX_LISTED = 10  # missing patches named


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    arguments = parser(
        __doc__,
        "tools/test.py CONFIG CHECKPOINT --images data/split_ss_dota/test/images --out boxes.npz\n"
        "  COMMAND boxes.npz submission.zip",
    )
    arguments.add_argument("results", type=Path, help="file of tools/test.py --out NAME.npz")
    arguments.add_argument("out", type=Path, help="zip file to write; never overwritten")
    arguments.add_argument(
        "--iou-thr",
        type=float,
        default=IOU_THRESHOLD,
        help="of two boxes of a class the worse goes at this IoU (%(default)s)",
    )
    arguments.add_argument(
        "--allow-partial", action="store_true", help="go on where patches are missing"
    )
    args = arguments.parse_args(argv)
    if args.out.exists():
        raise UsageError(f"{args.out} exists and is left as it is; choose another name")
    require_writable(args.out)
    if not 0 < args.iou_thr <= 1:
        raise UsageError(f"--iou-thr is {args.iou_thr}, expected a number from above 0 to 1")
    try:
        results = load_results(args.results)
        report_missing(results, args.allow_partial)
        progress = partial(tqdm, desc="merging", unit="picture")
        pictures = merge_patches(results.pictures, args.iou_thr, progress)
        write_submission(args.out, pictures, results.classes)
    except (ValueError, FileExistsError) as error:
        raise UsageError(str(error)) from error
    print(summary(read_submission(args.out), results, len(pictures)))


def report_missing(results: OrientedResults, allow_partial: bool) -> None:
    missing = missing_patches(results.pictures)
    if not missing:
        return
    named = ", ".join(missing[:MAX_LISTED]) + (", ..." if len(missing) > MAX_LISTED else "")
    text = f"{len(missing)} patches are missing: {named}"
    if not allow_partial:
        raise UsageError(f"{text}; test all patches again, or pass --allow-partial")
    print(f"warning: {text}")


def summary(
    counts: Mapping[str, Counter[str]], results: OrientedResults, num_pictures: int
) -> str:
    """Say what was read back from the zip file."""
    before = sum(len(found) for found in results.pictures.values())
    after = sum(found.total() for found in counts.values())
    lines = [f"  {name:20} {found.total():7} boxes" for name, found in counts.items()]
    lines.append(
        f"{len(counts)} files; {len(results.pictures)} patches with {before} boxes became "
        f"{num_pictures} pictures with {after}"
    )
    return "\n".join(lines)
