"""Count the parameters and FLOPs of a config's model, plain and with FDAM side by side."""

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from fdam_mm.analysis.flops import Complexity, count
from fdam_mm.apis.building import build_model
from fdam_mm.errors import UsageError
from fdam_mm.toolkits.scope import scope_of, toolkit_scope
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


def default_shape(config: Config) -> tuple[int, int]:
    size = (config.model.get("data_preprocessor") or {}).get("size") or config.get("crop_size")
    if size is None:
        raise UsageError("the config names no input size; give one: --shape H W")
    return tuple(size)


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


def count_config(settings: Any, scope: str, shape: tuple[int, int]) -> dict[str, Complexity]:
    model = build_model(Config(dict(default_scope=scope, model=settings))).eval()
    image = torch.zeros(1, input_channels(model, settings), *shape)
    try:
        with toolkit_scope(scope):
            return count(model, lambda: run(model, scope, image))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"the model cannot take an input of {shape[0]} x {shape[1]}: {reason}; set --shape"
        ) from error


def input_channels(model: nn.Module, settings: Any) -> int:
    """What the backbone's config says, else its first convolution."""
    named = settings.get("backbone", {}).get("in_channels")
    if isinstance(named, int):
        return named
    backbone = getattr(model, "backbone", model)
    first = next((m for m in backbone.modules() if isinstance(m, nn.Conv2d)), None)
    return 3 if first is None else first.in_channels


def num_proposals(settings: Any) -> int:
    return settings.test_cfg.rpn.max_per_img


def run(model: Any, scope: str, image: torch.Tensor) -> None:
    """The network alone: no post-processing."""
    if scope == "mmseg" and not isinstance(model.decode_head, nn.ModuleList):
        model.decode_head(model.extract_feat(image))  # mode="tensor" does it behind the counter
        return
    if scope == "mmseg":
        model(image, mode="tensor")
        return
    from mmdet.models import TwoStageDetector
    from mmdet.structures import DetDataSample

    shape = tuple(image.shape[-2:])
    sizes = dict.fromkeys(("img_shape", "ori_shape", "pad_shape", "batch_input_shape"), shape)
    sample = DetDataSample(metainfo=dict(**sizes, scale_factor=(1.0, 1.0)))
    if isinstance(model, TwoStageDetector):
        run_two_stages(model, image, sample)
    else:
        model(image, [sample], mode="tensor")


def run_two_stages(model: Any, image: torch.Tensor, sample: Any) -> None:
    """Always with the most proposals: how many there are depends on the weights, here random."""
    features = model.extract_feat(image)
    found = model.rpn_head.predict(features, [sample], rescale=False)[0]
    proposals = found[torch.arange(num_proposals(model)) % len(found)]
    model.roi_head(features, [proposals], [sample])


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
