"""``fdam bench``: what FDAM costs in time and memory, interleaved with what it is compared to."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from fdam_mm.benchmarking.errors import DTYPES, bench_errors
from fdam_mm.benchmarking.layers import bench_block, bench_forms
from fdam_mm.benchmarking.memory import MIB, saved_for_backward
from fdam_mm.benchmarking.models import (
    backbone_step,
    build_variant,
    inference_step,
    training_step,
)
from fdam_mm.benchmarking.plot import plot_growth
from fdam_mm.benchmarking.results import Cases, read_results, record, write_results
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
    command.add_argument("--out", type=Path, metavar="FILE.json", help="and FILE.png of growth")


def _measure(args: argparse.Namespace, argv: Sequence[str]) -> None:
    if args.out is not None:
        require_writable(args.out)
    torch.set_num_threads(args.threads)
    MMLogger.get_instance("benchmark", log_level="WARNING")
    runs: dict[str, Callable[[argparse.Namespace], Cases]] = dict(
        layers=_layers, forms=_forms, errors=lambda args: bench_errors(args.device)
    )
    run = runs.get(args.command, _models)
    command = "fdam bench " + shlex.join(_without_out(argv))
    results = record(command, args.device, lambda: run(args))
    print("\n".join(make_table(results)))
    if args.out is not None:
        write_results(args.out, results)
        if len({case.get("grid") for case in results["cases"]}) > 1:
            plot_growth(results, args.out.with_suffix(".png"))


def _without_out(argv: Sequence[str]) -> list[str]:
    kept = list(argv)
    if "--out" in kept:
        start = kept.index("--out")
        del kept[start : start + 2]
    return kept


def _layers(args: argparse.Namespace) -> Cases:
    variants = (*args.against, "fdam")
    return [
        case
        for dim in args.dim
        for batch in args.batch
        for grid in args.grid
        for case in bench_block(
            args.block, dim, grid, batch, variants, args.rounds, args.device, args.dtype
        )
    ]


def _forms(args: argparse.Namespace) -> Cases:
    return [
        case
        for dim in args.dim
        for batch in args.batch
        for grid in args.grid
        for case in bench_forms(dim, grid, batch, args.rounds, args.device)
    ]


def _models(args: argparse.Namespace) -> Cases:
    config = read_config(args.config, args.cfg_options)
    if not isinstance(config.get("model"), dict):
        raise UsageError(f"{args.config} has no model")
    config.setdefault("default_scope", "mmseg")
    with toolkit_scope(scope_of(config)):
        return _models_of(config, args)


def _models_of(config: Config, args: argparse.Namespace) -> Cases:
    shape = tuple(args.shape or default_shape(config))
    plain, fdam = twins(config, args.cfg_options)
    if args.command == "backbone":
        plain, fdam = plain.backbone, fdam.backbone
    names = (*args.against, "fdam")
    models = {name: build_variant(name, plain, fdam, args.device) for name in names}
    case = dict(config=Path(args.config).stem, shape=list(shape), batch=args.batch)
    if args.command == "backbone":
        return _backbones(models, case, args)
    batch = make_batch(
        config.default_scope, next(iter(models.values())), args.batch, shape, args.device
    )
    make = training_step if args.command == "train" else inference_step
    steps = {name: make(model, batch) for name, model in models.items()}
    found = measure_all(steps, args.rounds, args.device)
    mode = "step" if args.command == "train" else "inference"
    return [dict(**case, mode=mode, rounds=args.rounds, variants=found)]


def _backbones(models: dict[str, Any], case: dict[str, Any], args: argparse.Namespace) -> Cases:
    pictures = torch.randn(args.batch, 3, *case["shape"], device=args.device)
    cases = []
    for mode in ("inference", "step"):
        steps = {k: backbone_step(m, pictures, mode == "step") for k, m in models.items()}
        found = measure_all(steps, args.rounds, args.device)
        cases.append(dict(**case, mode=mode, rounds=args.rounds, variants=found))
    for name, model in models.items():
        saved = saved_for_backward(model, partial(model, pictures))
        cases[1]["variants"][name]["saved_mib"] = round(saved / MIB, 1)
    return cases


def _write_tables(texts: Sequence[Path], results: Path) -> None:
    for path in texts:
        if not path.is_file():
            raise UsageError(f"no file {path}")
        write_atomically(path, with_tables(path.read_text(), results))
