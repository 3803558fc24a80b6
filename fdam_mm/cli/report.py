"""``fdam report``: a page of a training, or of several side by side."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fdam_mm.errors import MissingFileError, UsageError

from .arguments import parser
from .errors import clear_errors

_DESCRIPTION = """One HTML page of a training: curves, metrics by class, confusions, the best and
the worst pictures, parameters and FLOPs, versions and commands. Several are compared side by side.
"""
_EXAMPLE = """COMMAND work_dirs/nuts
  COMMAND work_dirs/plain work_dirs/fdam --out compared.html"""


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, evaluate and write."""
    arguments = parser(_DESCRIPTION, _EXAMPLE)
    arguments.add_argument("work_dirs", nargs="+", type=Path, help="work folders of trainings")
    arguments.add_argument(
        "--out", type=Path, help="the page (report.html in the work folder of a single one)"
    )
    arguments.add_argument(
        "--checkpoint", type=Path, help="another than the best, else the newest"
    )
    arguments.add_argument(
        "--split", choices=("test", "val"), default="test", help="the data to measure on"
    )
    arguments.add_argument(
        "--pictures", type=int, default=4, help="of the best and of the worst (%(default)s)"
    )
    args = arguments.parse_args(argv)
    if args.checkpoint and len(args.work_dirs) > 1:
        raise UsageError("--checkpoint is for a single work folder")
    if args.out is None and len(args.work_dirs) > 1:
        raise UsageError("several work folders need --out FILE.html")
    if args.pictures < 0:
        raise UsageError(f"--pictures is {args.pictures}, expected 0 or more")
    for folder in args.work_dirs:
        if not folder.is_dir():
            raise MissingFileError(f"{folder} is no folder, expected a training's work folder")
    out = args.out or args.work_dirs[0] / "report.html"
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder, expected a file")
    from fdam_mm.report import write_page
    from fdam_mm.report.runs import read_run

    runs = [read_run(folder, args.checkpoint, args.split) for folder in args.work_dirs]
    if len({run.name for run in runs}) < len(runs):
        runs = [replace(r, name=str(f)) for r, f in zip(runs, args.work_dirs, strict=True)]
    write_page(runs, out, args.pictures)
    print(out)
