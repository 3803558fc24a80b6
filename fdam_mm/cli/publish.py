"""``fdam publish``: a trained model as a folder that others load."""

from collections.abc import Sequence
from pathlib import Path

from .arguments import parser
from .errors import clear_errors

_DESCRIPTION = """Write a trained model as a folder that others load: weights (safetensors, the
hash in their name), the whole config without this machine's paths, classes, metrics, a card."""
_EXAMPLE = """COMMAND work_dirs/nuts --license cc-by-4.0 --data "nuts on my table"
  COMMAND CONFIG.py --checkpoint iter_160000.pth --out published/nuts"""


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, write and say where."""
    arguments = parser(_DESCRIPTION, _EXAMPLE)
    arguments.add_argument("model", help="work folder of a training, or a config file")
    arguments.add_argument(
        "--checkpoint", help="file; needed with a config, default the work folder's best"
    )
    arguments.add_argument(
        "--out", type=Path, help="new folder; default `published` in the work folder"
    )
    arguments.add_argument("--name", help="of the model; default the work folder's")
    arguments.add_argument("--license", help="of the weights: cc-by-4.0, apache-2.0, ...")
    arguments.add_argument("--data", help="what it was trained on, or OWNER/NAME on the hub")
    arguments.add_argument(
        "--allow-pickle",
        action="store_true",
        help="also read a checkpoint that needs unpickling, which can run any code it holds",
    )
    args = arguments.parse_args(argv)
    from fdam_mm.apis import publish

    folder = publish(
        args.model, args.out, checkpoint=args.checkpoint, name=args.name, license=args.license,
        data=args.data, allow_pickle=args.allow_pickle,
    )  # fmt: skip
    print("\n".join(str(file) for file in sorted(folder.iterdir())))
    for name, given in (("license", args.license), ("data", args.data)):
        if given is None:
            print(f"the card says of the {name}: not stated (--{name})")
