"""Count the parameters and FLOPs of a config's model, plain and with FDAM side by side."""

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from fdam_mm.analysis.flops import Complexity
from fdam_mm.analysis.flops_of_config import count_config, default_shape, num_proposals
from fdam_mm.errors import UsageError
from fdam_mm.toolkits.scope import scope_of
from fdam_mm.training.config import read_config

from .arguments import add_config_arguments, parser
from .errors import clear_errors

FDAM = dict(att_inv=True, freq_scale=True)


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    arguments = parser(
        __doc__,
        "COMMAND configs/deit3/fdam-deit3-b16_upernet_4xb4-160k_ade20k-512x512.py --shape 512 512",
    )
    add_config_arguments(arguments)
    arguments.add_argument(
        "--shape",
        nargs=2,
        type=pixels,
        metavar=("H", "W"),
        help="input in pixels; default: the size that the config's preprocessor pads to",
    )
    args = arguments.parse_args(argv)
    config = read_config(args.config, args.cfg_options)
    if config.get("model") is None:
        raise UsageError(f"{args.config} has no model")
    if not isinstance(config.model, dict):
        raise UsageError(f"model is {config.model!r}, expected a dict of its settings")
    config.setdefault("default_scope", "mmseg")
    scope = scope_of(config)
    shape = tuple(args.shape or default_shape(config))
    plain, fdam = twins(config, args.cfg_options)
    counts = [count_config(settings, scope, shape) for settings in (plain, fdam)]
    print(f"{args.config}, one input of {shape[0]} x {shape[1]}\n")
    print(table(*counts))
    if "roi_head" in counts[0]:
        print(f"\nThe RoI head gets {num_proposals(config.model)} proposals, the most it can.")
    print("\nFLOPs count a multiply-add as two; many papers and toolkits count it as one.")


def pixels(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number of pixels above 0")
    return int(text)


def twins(config: Config, options: dict[str, Any]) -> tuple[Any, Any]:
    """The model's settings without and with FDAM, whichever the config has.

    A plain config gets FDAM where its twin, the fdam-*.py beside it, has it, else in the backbone.
    """
    plain, fdam = without_fdam(config.model), copy.deepcopy(config.model)
    if plain != fdam:
        return plain, fdam
    file = Path(config.filename)
    twin = file.with_name(f"fdam-{file.name}")
    if twin.is_file():
        return plain, read_config(str(twin), options).model
    fdam.backbone.fdam = FDAM
    return plain, fdam


def without_fdam(settings: Any) -> Any:
    """A copy without any key ``fdam``."""
    if isinstance(settings, dict):
        kept = {k: without_fdam(v) for k, v in settings.items() if k != "fdam"}
        return type(settings)(kept)
    if isinstance(settings, list | tuple):
        return type(settings)(without_fdam(v) for v in settings)
    return settings


def table(plain: dict[str, Complexity], fdam: dict[str, Complexity]) -> str:
    """One row for each part, FDAM's change in percent of the plain part."""
    lines = [
        f"{'':<16}{'parameters (M)':>34}{'GFLOPs':>34}",
        f"{'':<16}" + f"{'plain':>12}{'FDAM':>12}{'change':>10}" * 2,
    ]
    for name, after in fdam.items():
        before = plain.get(name, Complexity(0, 0))
        cells = [(before.parameters, after.parameters, 1e6), (before.flops, after.flops, 1e9)]
        lines.append(f"{name:<16}" + "".join(row(*cell) for cell in cells))
    return "\n".join(lines)


def row(before: int, after: int, unit: float) -> str:
    change = f"{100 * (after - before) / before:+.2f} %" if before else ""
    return f"{before / unit:>12.3f}{after / unit:>12.3f}{change:>10}"
