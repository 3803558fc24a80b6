"""``fdam data show``: pictures of what a model is given, with its labels, and histograms."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from fdam_mm.errors import UsageError
from fdam_mm.files import require_folder

from .arguments import add_config_arguments, parser
from .errors import clear_errors

_DESCRIPTION = """Write contact sheets of what a model is given after augmentation, labels over the
pictures, also of each class and of the rarest, and histograms of classes and sizes."""
_EXAMPLE = "COMMAND nuts/config.py --split train -n 32 --out look/"


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, draw and write."""
    arguments = parser(_DESCRIPTION, _EXAMPLE)
    add_config_arguments(arguments)
    arguments.add_argument("--split", choices=("train", "val", "test"), default="train")
    arguments.add_argument("-n", "--number", type=int, default=32, help="samples (%(default)s)")
    arguments.add_argument("--out", type=Path, help="folder (show/CONFIG_SPLIT)")
    arguments.add_argument("--seed", type=int, default=0, help="another gives other samples")
    args = arguments.parse_args(argv)
    from tqdm import tqdm

    from fdam_mm.data.show import show_data
    from fdam_mm.training.config import read_config

    if args.number < 1 or args.seed < 0:
        raise UsageError("-n takes a number above 0, --seed one from 0 on")
    config = read_config(args.config, args.cfg_options)
    out = args.out or Path("show") / f"{Path(args.config).stem}_{args.split}"
    require_folder(str(out), "--out")
    bar = partial(tqdm, desc="count", leave=False, disable=None)
    for file in show_data(config, out, args.split, args.number, args.seed, bar):
        print(file)
