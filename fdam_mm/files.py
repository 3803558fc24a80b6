"""Writing files and folders so that an interruption leaves the old one or the new one, whole."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path``; at the end it is on the disk and renamed to ``path``.

    Folders are made as needed. After an error the temporary file is removed and ``path`` is as it
    was; a killed process leaves ``.NAME.XXXX.tmp`` behind.

    Raises:
        OSError: The disk refuses.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=target.parent, prefix=f".{target.name}.", suffix=".tmp", delete=False
    ) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o666 & ~_umask())
            os.replace(file.name, target)
        except BaseException:
            os.unlink(file.name)
            raise


def write_atomically(path: str | Path, data: bytes | str) -> None:
    """Write a small file, see :func:`atomic_file`; text becomes UTF-8."""
    with atomic_file(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``target``, and rename it to ``target`` at the end.

    After an error or an interrupt the temporary folder is removed and there is no target.

    Raises:
        OSError: ``target`` exists and is not an empty folder, or the disk refuses.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    holder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        folder = holder / target.name  # inside, for mkdtemp's folder is closed to other users
        folder.mkdir()
        yield folder
        folder.replace(target)
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
