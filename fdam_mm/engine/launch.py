"""What the command-line tools share: reading a config, its overrides, and building the runner."""

import argparse
import difflib
import functools
import importlib
import inspect
import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner
from torch import distributed

from fdam_mm.checkpoints import CheckpointError

from .config_errors import UsageError, config_errors
from .quiet import quiet
from .safe_loading import load_toolkit_checkpoints_safely

_TOOLKITS = ("mmseg", "mmdet", "mmrotate")
_OF_TRAINING = ("last_checkpoint", "best_*.pth", "epoch_*.pth", "iter_*.pth")  # mmengine's files
_PROJECT = Path(__file__).resolve().parents[2]
# Beside the runner's arguments, what runners and tools read from a config that need not have it.
_OPTIONAL = (
    "activation_checkpointing",
    "allow_pickle",
    "compile",
    "crop_size",
    "efficient_conv_bn_eval",
    "find_unused_parameters",
    "model_wrapper_cfg",
    "runner_type",
    "strategy",
    "sync_bn",
    "tta_model",
    "tta_pipeline",
)


def clear_errors(main: Callable[[], None]) -> Callable[[], None]:
    """Let ``main`` end with one line, not a traceback, where a file or an argument is wrong."""

    @functools.wraps(main)
    def wrapped() -> None:
        try:
            main()
        except (CheckpointError, UsageError) as error:
            sys.exit(f"{Path(sys.argv[0]).name}: error: {error}")
        except FileNotFoundError as error:
            hint = "" if error.filename is None else "; tools/check_data.py CONFIG checks its data"
            sys.exit(f"{Path(sys.argv[0]).name}: error: {error}{hint}")

    return wrapped


def parser(description: str, example: str) -> argparse.ArgumentParser:
    """An argument parser whose ``--help`` ends with ``example``."""
    return argparse.ArgumentParser(
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


class _Overrides(DictAction):
    """mmengine's KEY=VALUE, with its mistakes as argparse's."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: list[str],
        option_string: str | None = None,
    ) -> None:
        wrong = [value for value in values if "=" not in value]
        if wrong:
            parser.error(f"{option_string} takes KEY=VALUE, found {wrong[0]!r}")
        try:
            super().__call__(parser, namespace, values, option_string)
        except (AssertionError, ValueError) as error:
            parser.error(f"{option_string}: {error}")


def add_config_arguments(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """The arguments of every tool that runs a config; with a ``default``, it may be left out."""
    parser.add_argument(
        "config",
        nargs="?" if default else None,
        default=default,
        help="config file, also relative to the project's folder"
        + (" (%(default)s)" if default else ""),
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=_Overrides,
        default={},
        metavar="KEY=VALUE",
        help="override settings of the config, e.g. train_dataloader.batch_size=2 "
        'model.backbone.out_indices="[2,5,8,11]"',
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of training and testing."""
    add_config_arguments(parser)
    parser.add_argument("--work-dir", help="for logs and models; default work_dirs/CONFIG_NAME")
    parser.add_argument(
        "--amp", action="store_true", help="mixed precision: fp16, or bf16 on a CPU"
    )
    parser.add_argument(
        "--launcher", choices=("none", "pytorch"), default="none", help="set by dist_*.sh"
    )
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="also read checkpoints that need unpickling, which can run any code they hold",
    )


def read_config(path: str, options: dict[str, Any]) -> Config:
    """Read a config and override it.

    ``data_root`` among the options moves every path of the dataloaders and evaluators that lies
    under the config's own ``data_root``.

    Raises:
        FileNotFoundError: No such file, here or in the project; names the nearest ones.
        UsageError: It is no config, or an option does not fit it.
    """
    file = next((f for f in (Path(path), _PROJECT / path) if f.is_file()), None)
    if file is None:
        known = [str(f.relative_to(_PROJECT)) for f in (_PROJECT / "configs").rglob("*.py")]
        near = difflib.get_close_matches(path, known, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise FileNotFoundError(f"config {path} does not exist{hint}")
    with config_errors(f"config {file}"), quiet():  # custom_imports of toolkits
        config = Config.fromfile(file)
    _refuse_unknown(options, config)
    old_root, new_root = config.get("data_root"), options.get("data_root")
    with config_errors("--cfg-options"):
        config.merge_from_dict(options)
    if old_root and new_root:
        for name, settings in config.items():
            if settings is not None and name.endswith(("_dataloader", "_evaluator")):
                _move_paths(settings, old_root.rstrip("/"), new_root.rstrip("/"))
    return config


def _refuse_unknown(options: dict[str, Any], config: Config) -> None:
    """A new name at the top of a config would be read by nothing."""
    known = {*config, *inspect.signature(Runner).parameters, *_OPTIONAL}
    for key in options:
        name = key.partition(".")[0]
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"--cfg-options {key}: the config has no {name}{hint}")


def _move_paths(settings: Any, old_root: str, new_root: str) -> None:
    items = settings.items() if isinstance(settings, dict) else enumerate(settings)
    for key, value in list(items):
        if isinstance(value, dict | list):
            _move_paths(value, old_root, new_root)
        elif isinstance(value, str) and f"{value}/".startswith(f"{old_root}/"):
            settings[key] = new_root + value[len(old_root) :]


def run_config(args: argparse.Namespace) -> Config:
    """The config of a training or test run, from the arguments of :func:`add_run_arguments`."""
    config = read_config(args.config, args.cfg_options)
    config.launcher = args.launcher
    if args.work_dir or not config.get("work_dir"):
        config.work_dir = args.work_dir or str(Path("work_dirs") / Path(args.config).stem)
    require_folder(config.work_dir, "--work-dir")
    if args.allow_pickle:
        config.allow_pickle = True
    return config


def require_folder(path: str, argument: str) -> None:
    """See that ``path`` is a folder or can become one.

    Raises:
        UsageError: It, or a part of it, is a file.
    """
    for part in (Path(path), *Path(path).parents):
        if part.is_file():
            raise UsageError(f"{argument} {path}: {part} is a file, expected a folder")


def require_data(config: Config, *splits: str) -> None:
    """See that the folders and annotation files of ``splits`` (train, val, test) are there.

    The toolkits say it in as many ways as they have data sets, some of them hard to read.

    Raises:
        UsageError: One is missing; names it.
    """
    for loader in (f"{split}_dataloader" for split in splits):
        for dataset in _datasets(config.get(loader)):
            path = Path(dataset["data_root"], dataset.get("ann_file") or "")
            if not path.exists():
                raise UsageError(
                    f"{path} of the config's {loader} does not exist. Prepare the data, see "
                    "tools/prepare_data.py --help, or say where it is: --cfg-options "
                    "data_root=FOLDER; tools/check_data.py CONFIG checks it"
                )


def _datasets(settings: Any) -> Iterator[dict[str, Any]]:
    """Settings of data sets on a local disk, however deep they stand."""
    if isinstance(settings, dict):
        if settings.get("data_root") and not settings.get("backend_args"):
            yield settings
        settings = list(settings.values())
    if isinstance(settings, list):
        for value in settings:
            yield from _datasets(value)


def refuse_overwriting(config: Config) -> None:
    """A new training in the folder of an old one would replace its checkpoints.

    Raises:
        UsageError: ``work_dir`` holds a training's files and ``resume`` is off.
    """
    folder = Path(config.work_dir)
    old = [file for pattern in _OF_TRAINING for file in sorted(folder.glob(pattern))]
    if old and not config.get("resume"):
        raise UsageError(
            f"{config.work_dir} holds {old[-1].name} of an earlier training. "
            "Go on with it: --resume. Start afresh: --work-dir ANOTHER_FOLDER"
        )


def build_runner(config: Config) -> Runner:
    """Import the config's toolkit, so that its types are registered, and build the runner.

    That is an :class:`FDAMRunner`, unless the config names another in ``runner_type``, as FSDP and
    DeepSpeed through mmengine's ``FlexibleRunner`` need.

    Raises:
        UsageError: ``default_scope`` is not mmseg, mmdet or mmrotate, or a part that the config
            names cannot be built.
    """
    scope = config.get("default_scope")
    if scope not in _TOOLKITS:
        raise UsageError(f"default_scope is {scope!r}, expected one of {', '.join(_TOOLKITS)}")
    init_default_scope(scope)
    register_toolkit(scope)
    load_toolkit_checkpoints_safely(config.get("allow_pickle", False))
    config.setdefault("runner_type", "FDAMRunner")
    with config_errors(f"config {config.filename} cannot be built"):
        return RUNNERS.build(config)


def register_toolkit(scope: str) -> None:
    """Register all types of a toolkit (``mmseg``, ``mmdet`` or ``mmrotate``)."""
    if scope == "mmrotate":
        register_toolkit("mmdet")
    with quiet():
        utils = importlib.import_module(f"{scope}.utils")
        utils.register_all_modules(init_default_scope=False)


def end_together() -> None:
    """End the distributed processes as one, past the interpreter's teardown; alone, do nothing.

    At teardown the threads of gloo are destroyed while they run, which now and then aborts a
    process that has done all its work.
    """
    if not distributed.is_initialized():
        return
    distributed.barrier()
    for child in multiprocessing.active_children():  # workers of the dataloaders
        child.terminate()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
