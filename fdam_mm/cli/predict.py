"""``fdam predict``: predict pictures of any size and write a file for each."""

from collections.abc import Sequence
from pathlib import Path

from fdam_mm.errors import UsageError
from fdam_mm.files import require_new_folder

from .arguments import add_delta_argument, add_model_argument, parser
from .errors import clear_errors

_DESCRIPTION = "Predict pictures, folders and GeoTIFFs of any size, and write a file for each."
_EXAMPLE = """COMMAND work_dirs/nuts photos/ --out result/ --draw
  COMMAND work_dirs/nuts unlabelled/ --out more/ --labels labelme
  COMMAND CONFIG.py large.tif --checkpoint iter_160000.pth --tile 1024 --out result/"""


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, predict and write."""
    arguments = parser(_DESCRIPTION, _EXAMPLE)
    add_model_argument(arguments)
    arguments.add_argument("inputs", nargs="+", help="pictures, folders or globs; GeoTIFFs too")
    arguments.add_argument(
        "--checkpoint",
        help="file; needed with a config, default the folder's own; with --delta its base",
    )
    add_delta_argument(arguments)
    arguments.add_argument("--out", type=Path, required=True, help="folder for the results")
    arguments.add_argument(
        "--labels", choices=("coco", "yolo", "labelme", "masks", "dota"),
        help="write a labelled set of this format, to correct and train on",
    )  # fmt: skip
    arguments.add_argument("--draw", action="store_true", help="also write pictures (NAME.jpg)")
    arguments.add_argument("--score", type=float, default=0.3, help="leave out objects below it")
    arguments.add_argument("--tile", type=int, help="cut larger pictures into tiles of this side")
    arguments.add_argument("--overlap", type=int, help="pixels that tiles share (a quarter)")
    arguments.add_argument("--batch-size", type=int, default=1, help="pictures or tiles together")
    arguments.add_argument("--device", help="where the model runs (a GPU if there is one)")
    arguments.add_argument("--precision", choices=("fp32", "fp16", "bf16"), help="of the forward")
    arguments.add_argument("--tta", action="store_true", help="test-time augmentation")
    arguments.add_argument(
        "--allow-pickle",
        action="store_true",
        help="also read checkpoints that need unpickling, which can run any code they hold",
    )
    args = arguments.parse_args(argv)
    from fdam_mm.apis import load_model, predict
    from fdam_mm.apis.labelling import save_labels
    from fdam_mm.apis.sources import require_weights

    require_weights(args.model, args.checkpoint or args.delta)
    if not 0 <= args.score <= 1:
        raise UsageError(f"--score is {args.score}, expected a number from 0 to 1")
    if args.labels and args.draw:
        raise UsageError("--labels writes a set of pictures and labels: leave out --draw")
    require_new_folder(args.out, "--out")
    model = load_model(
        args.model, args.checkpoint, args.device, precision=args.precision, delta=args.delta,
        allow_pickle=args.allow_pickle,
    )  # fmt: skip
    results = predict(model, args.inputs, args.batch_size, args.tile, args.overlap, args.tta)
    chosen = (r.above(args.score) if hasattr(r, "above") else r for r in results)
    if args.labels:
        count, notes = save_labels(chosen, args.out, args.labels)
        print("\n".join([f"{count} pictures with labels in {args.out}", *notes]))
        return
    count = 0
    for shown in chosen:
        shown.save(args.out)
        if args.draw:
            shown.save_drawing(args.out)
        count += 1
    print(f"{count} results in {args.out}")
