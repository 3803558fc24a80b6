"""``fdam analyze``: what the layers of a model do to frequencies."""

from collections.abc import Sequence
from pathlib import Path

from fdam_mm.errors import UsageError
from fdam_mm.files import require_new_folder, require_writable

from .arguments import add_model_argument, parser
from .errors import clear_errors

_DESCRIPTION = """What the layers of a model do to frequencies, on some pictures: spectra of their
maps, responses of their attentions, AttInv's gates, FreqScale's gains, likeness of their tokens.
Writes a page, figures and CSV files. Any model of the toolkits or of timm, with FDAM or without.
"""
_EXAMPLE = """COMMAND work_dirs/fdam --images photos/ --against work_dirs/plain --out spectra/
  COMMAND timm:vit_small_patch14_dinov2 weights.safetensors --images photos/ --out spectra/"""


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, measure and write."""
    arguments = parser(_DESCRIPTION, _EXAMPLE)
    add_model_argument(arguments, " or timm:NAME")
    arguments.add_argument("checkpoint", nargs="?", help="default the folder's own")
    arguments.add_argument("--images", nargs="+", required=True, help="pictures, folders or globs")
    arguments.add_argument(
        "--against", nargs="+", metavar=("MODEL", "CHECKPOINT"), help="a second model beside it"
    )
    arguments.add_argument("-n", type=int, default=16, help="pictures at most (%(default)s)")
    arguments.add_argument(
        "--layers", nargs="+", default=(), metavar="PATTERN",
        help="names of other modules than the backbone's blocks: 'panoptic_head.*.layers.*'",
    )  # fmt: skip
    arguments.add_argument("--out", type=Path, required=True, help="new folder for the files")
    arguments.add_argument("--device", help="where the model runs (a GPU if there is one)")
    arguments.add_argument(
        "--allow-pickle",
        action="store_true",
        help="also read checkpoints that need unpickling, which can run any code they hold",
    )
    args = arguments.parse_args(argv)
    if args.n < 1:
        raise UsageError(f"-n is {args.n}, expected at least 1")
    if args.against and len(args.against) > 2:
        raise UsageError("--against takes a model and its checkpoint")
    require_new_folder(args.out, "--out")
    require_writable(args.out / "analysis.html")
    from tqdm import tqdm

    from fdam_mm.analysis.measuring import measure
    from fdam_mm.analysis.models import open_model
    from fdam_mm.analysis.writing import write_analysis
    from fdam_mm.apis.inputs import find_pictures

    pictures = [picture.path for picture in find_pictures(args.images)[: args.n]]
    sources = [(args.model, args.checkpoint)]
    if args.against:
        sources.append((args.against[0], args.against[1] if args.against[1:] else None))
    measured = {}
    for source, checkpoint in sources:
        opened = open_model(source, checkpoint, args.device, bool(args.layers), args.allow_pickle)
        name = opened.name if opened.name not in measured else f"{opened.name} ({source})"
        bar = tqdm(pictures, name, disable=None)
        measured[name] = measure(opened.model, bar, opened.run, args.layers)
    write_analysis(measured, args.out, len(pictures))
    print(args.out / "analysis.html")
