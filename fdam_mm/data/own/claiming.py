"""A new folder that an interrupted call leaves unfinished, and the same call goes on with."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from fdam_mm.errors import UsageError
from fdam_mm.files import sweep, write_atomically


def claim(target: Path, mark: str, work: Mapping[str, object]) -> None:
    """Begin a folder with a file that says what work it is for, or go on with one of that work.

    Args:
        target: Not there, empty, or begun by the same work.
        mark: Name of that file.
        work: What JSON can hold.

    Raises:
        UsageError: The folder is of other work, or something else.
    """
    file = target / mark
    if file.is_file():
        known = json.loads(file.read_text(encoding="utf-8"))
        if known != work:
            raise UsageError(f"{target} was made of {known}, not of {work}; name a new folder")
        for folder, _, _ in os.walk(target):
            sweep(folder)
        return
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(
            f"{target} is there and not empty; nothing is ever overwritten, name a new folder"
        )
    write_atomically(file, json.dumps(work))
