"""How a training was started, beside its log: the command and the versions."""

import json
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from fdam_mm.benchmarking.machine import describe_machine
from fdam_mm.files import write_atomically

NAME = "run.json"


def write_record(folder: str | Path) -> None:
    """Write ``run.json`` into the folder of a training's log."""
    record = dict(
        command=command_line(sys.argv),
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
        machine=describe_machine("cuda" if torch.cuda.is_available() else "cpu"),
    )
    write_atomically(Path(folder) / NAME, json.dumps(record, indent=1) + "\n")


def read_records(work_dir: Path) -> list[dict[str, Any]]:
    """The records of a work folder's trainings, in order; what is no record is left out."""
    found = []
    for file in sorted(work_dir.glob(f"*/{NAME}")):
        try:
            record = json.loads(file.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(record, dict):
            found.append(record)
    return found


def command_line(argv: Sequence[str]) -> str:
    """What a shell takes; ``fdam`` has put its subcommand into the program's name."""
    program, *rest = argv
    words = program.split(" ") if program.startswith("fdam ") else [program]
    return shlex.join([*words, *rest])
