"""``fdam``: every tool as a subcommand; ``tools/*.py`` are the same under their old names."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fdam_mm.version import __version__


class Command(NamedTuple):
    """A module of this folder whose ``main`` reads the command line, imported when called."""

    module: str
    help: str


Commands = Mapping[str, "Command | Commands"]
COMMANDS: Commands = {
    "new": Command("new", "write a config for own data, to edit and to train"),
    "train": Command("train", "train a model from a config"),
    "test": Command("test", "evaluate a checkpoint"),
    "predict": Command("predict", "predict pictures, folders and GeoTIFFs of any size"),
    "merge": Command("merge", "one checkpoint of what a fine-tuning trained and its base"),
    "data": {
        "inspect": Command("data_inspect", "what a folder of pictures and labels holds"),
        "convert": Command("data_convert", "own data to COCO, label maps, DOTA, YOLO or labelme"),
        "prepare": Command("prepare", "unpack and check ADE20K, COCO or DOTA"),
        "show": Command("data_show", "pictures of what a model is given, with its labels"),
        "check": Command("check", "read every picture and label of a config"),
        "demo": Command("demo_set", "draw a small labelled set to try things on"),
    },
    "analyze": Command("analyze", "what the layers of a model do to frequencies"),
    "export": Command("export", "write a trained segmentor as ONNX, checked against torch"),
    "publish": Command("publish", "a trained model as a folder that others load"),
    "push": Command("push", "send a published model to Hugging Face's hub"),
    "report": Command("report", "a page of a training, or of several side by side"),
    "flops": Command("flops", "parameters and FLOPs, plain beside FDAM"),
    "bench": Command("bench", "time and memory of FDAM beside plain, textbook and mmseg"),
    "demo": Command("demo", "a page in the browser that tries models on pictures"),
    "models": Command("models", "list the shipped configs"),
    "info": Command("info", "versions, devices and extras, for bug reports"),
}


def main(argv: Sequence[str] | None = None) -> int | None:
    """Run the subcommand that the command line names; returns its exit code."""
    return _run("fdam", COMMANDS, sys.argv[1:] if argv is None else argv)


def _run(program: str, commands: Commands, arguments: Sequence[str]) -> int | None:
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
    if not isinstance(chosen, Command):
        return _run(f"{program} {name}", chosen, rest)
    sys.argv = [f"{program} {name}", *rest]  # argparse and errors name the program after it
    return importlib.import_module(f".{chosen.module}", __package__).main()


def _usage(program: str, commands: Commands) -> str:
    rows = [
        f"  {name:<10}{chosen.help if isinstance(chosen, Command) else ', '.join(chosen)}"
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
