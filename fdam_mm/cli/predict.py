"""``fdam predict``: pictures of any size, one file per result."""

import argparse
from pathlib import Path

from fdam_mm.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="work folder of a training, or a config file")
    parser.add_argument("inputs", nargs="+", help="pictures, folders or globs; GeoTIFFs too")
    parser.add_argument(
        "--checkpoint", help="file; needed with a config, default the work folder's best"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--draw", action="store_true", help="also write pictures (NAME.jpg)")
    parser.add_argument("--score", type=float, default=0.3, help="leave out objects below it")
    parser.add_argument("--tile", type=int, help="cut larger pictures into tiles of this side")
    parser.add_argument("--overlap", type=int, help="pixels that tiles share (a quarter)")
    parser.add_argument("--batch-size", type=int, default=1, help="pictures or tiles together")
    parser.add_argument("--device", help="where the model runs (a GPU if there is one)")
    parser.add_argument("--precision", choices=("fp32", "fp16", "bf16"), help="of the forward")
    parser.add_argument("--tta", action="store_true", help="test-time augmentation")
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="also read checkpoints that need unpickling, which can run any code they hold",
    )


def run(args: argparse.Namespace) -> None:
    """Predict and write."""
    from fdam_mm.apis import load_model, predict

    if args.checkpoint is None and not Path(args.model).is_dir():
        raise UsageError(f"{args.model} is no work folder: pass --checkpoint FILE with a config")
    if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise UsageError(f"--out {args.out} is there and not empty; name a new folder")
    model = load_model(
        args.model, args.checkpoint, args.device, precision=args.precision,
        allow_pickle=args.allow_pickle,
    )  # fmt: skip
    results = predict(model, args.inputs, args.batch_size, args.tile, args.overlap, args.tta)
    count = 0
    for result in results:
        shown = result.above(args.score) if hasattr(result, "above") else result
        shown.save(args.out)
        if args.draw:
            shown.save_drawing(args.out)
        count += 1
    print(f"{count} results in {args.out}")
