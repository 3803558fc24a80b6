"""``fdam``: every tool as a subcommand; ``tools/*.py`` are the same under their old names."""

import importlib
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from fdam_mm.version import __version__


class Command(NamedTuple):
    """A module of this folder whose ``main`` reads the command line, imported when called."""

    module: str
    help: str


class Tool(NamedTuple):
    """A script of ``tools/``, which a checkout and a wheel both hold."""

    script: str
    help: str


Commands = Mapping[str, "Command | Tool | Commands"]
COMMANDS: Commands = {
    "train": Tool("train.py", "train a model from a config"),
    "test": Tool("test.py", "evaluate a checkpoint"),
    "predict": Command("predict", "predict pictures, folders and GeoTIFFs of any size"),
    "data": {
        "prepare": Tool("prepare_data.py", "unpack and check ADE20K, COCO or DOTA"),
        "check": Tool("check_data.py", "read every picture and label of a config"),
    },
    "flops": Tool("get_flops.py", "parameters and FLOPs, plain beside FDAM"),
    "info": Command("info", "versions, devices and extras, for bug reports"),
}


_TOOLS = Path(__file__).resolve().parents[1] / ".mim/tools"


def main() -> int | None:
    """Run the subcommand that the command line names; returns its exit code."""
    return _run("fdam", COMMANDS, sys.argv[1:])


def _run(program: str, commands: Commands, arguments: list[str]) -> int | None:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name in ("-h", "--help"):
        print(_usage(program, commands))
        return None
    if name == "--version":
        print(__version__)
        return None
    if name not in commands:
        print(
            f"{program}: error: no command {name!r}\n\n{_usage(program, commands)}",
            file=sys.stderr,
        )
        return 2
    chosen = commands[name]
    if not isinstance(chosen, Command | Tool):
        return _run(f"{program} {name}", chosen, rest)
    sys.argv = [f"{program} {name}", *rest]
    if isinstance(chosen, Tool):
        runpy.run_path(str(_TOOLS / chosen.script), run_name="__main__")
        return None
    return importlib.import_module(f".{chosen.module}", __package__).main()


def _usage(program: str, commands: Commands) -> str:
    rows = [
        f"  {name:<10}{chosen.help if isinstance(chosen, Command | Tool) else ', '.join(chosen)}"
        for name, chosen in commands.items()
    ]
    return "\n".join(
        [
            f"usage: {program} COMMAND ...",
            "",
            *rows,
            "",
            f"{program} COMMAND --help shows a command's arguments and an example.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
