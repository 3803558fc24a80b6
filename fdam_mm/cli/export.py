"""``fdam export``: write a trained model as ONNX, checked against torch."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from fdam_mm.errors import UsageError

from .arguments import add_model_argument, parser
from .errors import clear_errors

_DESCRIPTION = """Write a trained model as ONNX, with a JSON for fdam_mm.runtime beside it.

It is run in onnxruntime and compared with torch before anything is written."""
_EXAMPLE = """COMMAND work_dirs/nuts nuts.onnx --check photos/
  COMMAND CONFIG.py iter_160000.pth model.onnx --size 512x512 512x1024 --measure"""


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, export and say what was compared."""
    arguments = parser(_DESCRIPTION, _EXAMPLE)
    add_model_argument(arguments)
    arguments.add_argument("checkpoint", nargs="?", help="file; needed with a config")
    arguments.add_argument("out", type=Path, help="OUT.onnx; OUT.json is written beside it")
    sizes = arguments.add_mutually_exclusive_group()
    sizes.add_argument(
        "--size", nargs="+", type=image_size, metavar="HxW",
        help="of the model's input, a graph for each; default: the config's",
    )  # fmt: skip
    sizes.add_argument("--dynamic", action="store_true", help="the model takes any size")
    arguments.add_argument(
        "--raw", action="store_true",
        help="normalised float32 in, logits out: without resizing, normalisation and argmax",
    )  # fmt: skip
    arguments.add_argument("--precision", choices=("fp32", "fp16", "int8"), default="fp32")
    arguments.add_argument(
        "--calibrate", nargs="+", metavar="PICTURES",
        help="pictures, folders or globs that int8 takes its ranges from: a few of the training",
    )  # fmt: skip
    arguments.add_argument(
        "--check", nargs="+", metavar="PICTURES",
        help="pictures, folders or globs to compare on; default: drawn noise",
    )  # fmt: skip
    arguments.add_argument(
        "--measure", nargs="?", type=int, const=0, metavar="N",
        help="also measure mIoU or AP of both on the config's test data, or on N pictures of it",
    )  # fmt: skip
    arguments.add_argument("--openvino", action="store_true", help="compare in OpenVINO too")
    arguments.add_argument(
        "--tensorrt", action="store_true", help="compare in TensorRT too, on an NVIDIA GPU"
    )
    arguments.add_argument(
        "--allow-pickle", action="store_true",
        help="also read checkpoints that need unpickling, which can run any code they hold",
    )  # fmt: skip
    args = arguments.parse_args(argv)
    from fdam_mm.apis import load_model
    from fdam_mm.apis.sources import require_weights
    from fdam_mm.export.exporting import Runtime, export

    require_weights(args.model, args.checkpoint)
    if args.measure is not None and args.measure < 0:
        raise UsageError(f"--measure is {args.measure}, expected a number of pictures")
    model = load_model(args.model, args.checkpoint, "cpu", allow_pickle=args.allow_pickle)
    also: list[Runtime] = [name for name in get_args(Runtime) if vars(args)[name]]
    about = export(
        model, args.out, args.size, dynamic=args.dynamic, raw=args.raw,
        precision=args.precision, calibrate=args.calibrate, check=args.check,
        measured=args.measure, also=also,
    )  # fmt: skip
    assert about.check is not None
    for found in about.check["graphs"]:
        what = "pictures of drawn noise (no --check)" if found["drawn"] else "pictures"
        print(
            f"{args.out.parent / found['file']} in {found['runtime']}: on "
            f"{found['inputs']} {what} {found['worst']} are off by "
            f"{found['largest_error']:.1e} at most (the largest is "
            f"{found['largest_logit']:.3g}), {found['changed']:.4%} of the pixels change class"
        )
    if metric := about.check.get("metric"):
        print(
            f"{metric['name']} on {metric['pictures']} pictures: torch {metric['torch']:.4g}, "
            f"export {metric['onnx']:.4g}"
        )


def image_size(text: str) -> tuple[int, int]:
    """HEIGHTxWIDTH of the command line."""
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}, expected HEIGHTxWIDTH, as 512x1024")
    return int(found[1]), int(found[2])
