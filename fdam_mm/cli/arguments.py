"""The arguments that the command-line tools share."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .errors import REPORTS, leave_report
from .overrides import parse_override


class _Parser(argparse.ArgumentParser):
    """One of several processes leaves its mistakes to the launcher, which says them once."""

    def error(self, message: str) -> NoReturn:
        folder = os.environ.get(REPORTS)
        if not folder:
            super().error(message)
        leave_report(Path(folder), f"{self.format_usage()}{self.prog}: error: {message}")
        sys.exit(2)


def parser(description: str | None, example: str) -> argparse.ArgumentParser:
    """An argument parser whose ``--help`` ends with ``example``, see :func:`with_command`."""
    return _Parser(
        description=description,
        epilog=with_command(f"example:\n  {example}"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def with_command(example: str) -> str:
    """An example with what the user typed for COMMAND: ``fdam train`` or ``tools/train.py``."""
    name = Path(sys.argv[0]).name
    return example.replace("COMMAND", name if name.startswith("fdam ") else f"tools/{name}")


class _Overrides(argparse.Action):
    """KEY=VALUE, as often as one likes, into one dict."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        options = dict(getattr(namespace, self.dest))
        for text in values or ():
            if "=" not in text:
                parser.error(
                    f"{option_string} takes KEY=VALUE, found {text!r}; other arguments go before "
                    f"{option_string}"
                )
            try:
                key, value = parse_override(text)
            except (ValueError, RecursionError) as error:  # brackets a thousand deep
                parser.error(f"{option_string} {text.partition('=')[0]}: {error}")
            options[key] = value
        setattr(namespace, self.dest, options)


def add_model_argument(parser: argparse.ArgumentParser, more: str = "") -> None:
    """The trained model that a tool takes, see :func:`fdam_mm.apis.load_model`."""
    parser.add_argument(
        "model",
        help="work folder of a training, published folder, hf://USER/MODEL[@REVISION] or config "
        f"file{more}",
    )


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
        'model.backbone.out_indices="[2,5,8,11]" model.backbone.fdam="dict(att_inv=True)" '
        'data_root="/my data"',
    )


def add_delta_argument(parser: argparse.ArgumentParser) -> None:
    """``--delta``, of the tools that use a model as :func:`fdam_mm.apis.load_model` loads it."""
    parser.add_argument(
        "--delta",
        metavar="FILE",
        help="delta.safetensors of a fine-tuning, over the checkpoint it started from (default "
        "the config's load_from, else its init_cfg)",
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
