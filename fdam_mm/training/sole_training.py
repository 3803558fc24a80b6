"""One training at a time in a folder."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fdam_mm.errors import InUseError
from fdam_mm.files import lock, sweep

LOCK = ".training.lock"
_PATIENCE = 3.0  # seconds; the threads of a killed process end one by one
_held: dict[Path, int] = {}  # folder: descriptor of its lock, of this process


@contextmanager
def sole_training(folder: str | Path) -> Iterator[None]:
    """Keep other trainings out of ``folder`` until the end, or until this process dies.

    At the start, what killed trainings left half written there is removed. Of the processes of a
    distributed training one asks, for all. Inside of itself it does nothing more.

    Raises:
        InUseError: Another training is at work in the folder.
    """
    path = Path(folder).resolve()
    if path in _held:
        yield
        return
    path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    locked = _patiently(descriptor)
    if locked is False:
        owner = _owner(descriptor)
        os.close(descriptor)
        raise InUseError(
            f"{folder} is in use: {owner} trains there. Wait for its end, or choose another "
            "folder: --work-dir ANOTHER_FOLDER"
        )
    _held[path] = descriptor
    try:
        if locked:
            _sign(descriptor)
            swept = sweep(path)
            if swept:
                logging.getLogger(__name__).info("removed unfinished files: %s", ", ".join(swept))
        yield
    finally:
        if _held.pop(path, None) is not None:  # not in a child, see below
            os.close(descriptor)


def _patiently(descriptor: int) -> bool | None:
    """:func:`lock`, waiting for an owner that has been killed and is not yet gone."""
    end = time.monotonic() + _PATIENCE
    while (locked := lock(descriptor)) is False and time.monotonic() < end:
        time.sleep(0.05)
    return locked


def _sign(descriptor: int) -> None:
    text = f"process {os.getpid()} on {socket.gethostname()}"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _owner(descriptor: int) -> str:
    text = os.pread(descriptor, 300, 0).decode(errors="replace").strip()
    return text if text.isprintable() and text else "another process"


def _leave_to_parent() -> None:
    """A lock lives as long as any copy of its descriptor; a child must not keep it."""
    while _held:
        os.close(_held.popitem()[1])


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_leave_to_parent)
