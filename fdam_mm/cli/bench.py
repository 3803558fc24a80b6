"""``fdam bench``: what FDAM costs in time and memory, interleaved with what it is compared to."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import Tensor

from fdam_mm.benchmarking.errors import DTYPES, bench_errors
from fdam_mm.benchmarking.layers import MODES, bench_block, bench_forms
from fdam_mm.benchmarking.memory import MIB, saved_for_backward
from fdam_mm.benchmarking.models import (
    Batch,
    backbone_step,
    build_variant,
    inference_step,
    training_step,
)
from fdam_mm.benchmarking.plot import plot_growth
from fdam_mm.benchmarking.results import Cases, Measurement, measure_each, read_results
from fdam_mm.benchmarking.rule import largest_sides
from fdam_mm.benchmarking.samples import make_batch
from fdam_mm.benchmarking.tables import make_table, with_tables
from fdam_mm.benchmarking.timing import measure_all
from fdam_mm.errors import UsageError
from fdam_mm.files import require_writable, write_atomically
from fdam_mm.toolkits.scope import scope_of, toolkit_scope
from fdam_mm.training.config import read_config

from .arguments import add_config_arguments, parser
from .errors import clear_errors
from .flops import default_shape, pixels, twins


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, measure, write JSON and print the table."""
    arguments = parser(__doc__, "fdam bench layers --dim 384 --grid 14 32 --out layers.json")
    commands = arguments.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_layers(commands)
    _add_models(commands)
    _add_errors(commands)
    tables = commands.add_parser("tables", help="write the tables of texts from results")
    tables.add_argument("texts", nargs="+", type=Path, metavar="FILE.md")
    tables.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    rule = commands.add_parser("rule", help="print the choice of FreqScale's form from results")
    rule.add_argument("results", type=Path, metavar="FORMS.json")
    args = arguments.parse_args(argv)
    if args.command == "tables":
        _write_tables(args.texts, args.results)
    elif args.command == "rule":
        print(largest_sides(read_results(args.results)["cases"]))
    else:
        _measure(args, sys.argv[1:] if argv is None else argv)


def _add_layers(commands: Any) -> None:
    for name, text in (
        ("layers", "one transformer block over grids and batches"),
        ("forms", "FreqScale by Fourier matrices and by the FFT"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--dim", nargs="+", type=int, default=[384], help="channels")
        command.add_argument("--grid", nargs="+", type=int, default=[32], help="sides, in tokens")
        command.add_argument("--batch", nargs="+", type=int, default=[1])
        if name == "layers":
            command.add_argument("--block", choices=("vit", "mit"), default="vit")
            command.add_argument("--dtype", choices=DTYPES, default="float32")
            _add_against(command, ("plain", "reference"))
        _add_run_arguments(command)


def _add_models(commands: Any) -> None:
    for name, text in (
        ("backbone", "the backbone of a config, inference and training step"),
        ("train", "a training step of a config's model, with AdamW"),
        ("infer", "a prediction of a config's model, with its post-processing"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        add_config_arguments(command)
        command.add_argument("--shape", nargs=2, type=pixels, metavar=("H", "W"))
        command.add_argument("--batch", type=int, default=1)
        _add_against(command, ("plain", "reference", "mmseg"))
        _add_run_arguments(command)


def _add_errors(commands: Any) -> None:
    text = "errors of float32, bfloat16 and float16 against float64, of layers and backbones"
    command = commands.add_parser("errors", help=text, description=text)
    _add_machine_arguments(command)


def _add_against(command: argparse.ArgumentParser, choices: tuple[str, ...]) -> None:
    command.add_argument(
        "--against",
        nargs="+",
        choices=choices,
        default=["plain"],
        help="plain: without FDAM; reference: FDAM as the textbook has it; mmseg: mmseg's own "
        "backbone. Ratios are to the first (plain)",
    )


def _add_run_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--rounds", type=int, default=15, help="measured, after two (15)")
    _add_machine_arguments(command)


def _add_machine_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--threads", type=int, default=1, help="of the CPU (1)")
    command.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    command.add_argument(
        "--out",
        type=Path,
        metavar="FILE.json",
        help="written after every case, and FILE.png of growth; started again, it goes on",
    )


def _measure(args: argparse.Namespace, argv: Sequence[str]) -> None:
    if args.out is not None:
        require_writable(args.out)
    torch.set_num_threads(args.threads)
    MMLogger.get_instance("benchmark", log_level="WARNING")
    config = _config(args) if "config" in args else None
    command = "fdam bench " + shlex.join(_without_out(argv))
    with nullcontext() if config is None else toolkit_scope(scope_of(config)):
        if config is not None:
            measurements = _models(config, args)
        elif args.command == "errors":
            measurements = bench_errors(args.device)
        else:
            measurements = _grids(args)
        results = measure_each(measurements, command, args.device, args.out)
    print("\n".join(make_table(results)))
    if args.out is not None and len({case.get("grid") for case in results["cases"]}) > 1:
        plot_growth(results, args.out.with_suffix(".png"))


def _without_out(argv: Sequence[str]) -> list[str]:
    kept = list(argv)
    if "--out" in kept:
        start = kept.index("--out")
        del kept[start : start + 2]
    return kept


def _grids(args: argparse.Namespace) -> list[Measurement]:
    bench: Callable[..., Cases] = bench_forms
    kind = dict(layer="FreqScale")
    if args.command == "layers":
        kind = dict(block=args.block, dtype=args.dtype)
        variants = (*args.against, "fdam")
        bench = partial(bench_block, kind=args.block, dtype=args.dtype, variants=variants)
    sizes = [
        dict(dim=dim, grid=grid, batch=batch, mode=mode)
        for dim in args.dim
        for batch in args.batch
        for grid in args.grid
        for mode in MODES
    ]
    bench = partial(bench, rounds=args.rounds, device=args.device)
    return [Measurement(kind | size, partial(bench, **size)) for size in sizes]


def _config(args: argparse.Namespace) -> Config:
    config = read_config(args.config, args.cfg_options)
    if not isinstance(config.get("model"), dict):
        raise UsageError(f"{args.config} has no model")
    config.setdefault("default_scope", "mmseg")
    return config


def _models(config: Config, args: argparse.Namespace) -> list[Measurement]:
    shape = tuple(args.shape or default_shape(config))
    plain, fdam = twins(config, args.cfg_options)
    if args.command == "backbone":
        plain, fdam = plain.backbone, fdam.backbone
    names = (*args.against, "fdam")
    models = {name: build_variant(name, plain, fdam, args.device) for name in names}
    if args.command == "backbone":
        pictures = torch.randn(args.batch, 3, *shape, device=args.device)
        bench = partial(_backbones, models, pictures, args)
    else:
        scope, first = config.default_scope, next(iter(models.values()))
        batch = make_batch(scope, first, args.batch, shape, args.device)
        bench = partial(_whole_models, models, batch, args)
    case = dict(config=Path(args.config).stem, shape=list(shape), batch=args.batch)
    modes = dict(train=("step",), infer=("inference",)).get(args.command, MODES)
    return [
        Measurement(dict(**case, mode=mode), partial(bench, dict(**case, mode=mode)))
        for mode in modes
    ]


def _backbones(
    models: dict[str, Any], pictures: Tensor, args: argparse.Namespace, case: dict[str, Any]
) -> Cases:
    trains = case["mode"] == "step"
    steps = {name: backbone_step(model, pictures, trains) for name, model in models.items()}
    found = measure_all(steps, args.rounds, args.device)
    for name, model in models.items() if trains else ():
        saved = saved_for_backward(model, partial(model, pictures))
        found[name]["saved_mib"] = round(saved / MIB, 1)
    return [dict(**case, rounds=args.rounds, variants=found)]


def _whole_models(
    models: dict[str, Any], batch: Batch, args: argparse.Namespace, case: dict[str, Any]
) -> Cases:
    make = training_step if case["mode"] == "step" else inference_step
    steps = {name: make(model, batch) for name, model in models.items()}
    found = measure_all(steps, args.rounds, args.device)
    return [dict(**case, rounds=args.rounds, variants=found)]


def _write_tables(texts: Sequence[Path], results: Path) -> None:
    for path in texts:
        if not path.is_file():
            raise UsageError(f"no file {path}")
        write_atomically(path, with_tables(path.read_text(), results))
