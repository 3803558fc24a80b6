"""``fdam``: every tool as a subcommand."""

import argparse
import importlib
from typing import NamedTuple

from fdam_mm.version import __version__

from .errors import clear_errors


class Command(NamedTuple):
    """A module of this folder with ``add_arguments`` and ``run``, imported when it is called."""

    module: str
    help: str
    example: str


COMMANDS = {
    "predict": Command(
        "predict",
        "predict pictures, folders and GeoTIFFs of any size",
        "fdam predict work_dirs/nuts photos/ --out result/ --draw",
    ),
    "info": Command("info", "versions, devices and extras, for bug reports", "fdam info"),
}


@clear_errors
def main() -> None:
    """Run the subcommand that the command line names."""
    listing = "\n".join(f"  {name:<10}{command.help}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="fdam",
        description="Frequency-Dynamic Attention Modulation for vision backbones.",
        epilog=f"commands:\n{listing}\n\nfdam COMMAND --help shows a command's arguments.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    command = COMMANDS[args.command]
    module = importlib.import_module(f".{command.module}", __package__)
    own = argparse.ArgumentParser(
        prog=f"fdam {args.command}",
        description=command.help[0].upper() + command.help[1:] + ".",
        epilog=f"example:\n  {command.example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(own)
    module.run(own.parse_args(args.arguments))


if __name__ == "__main__":
    main()
