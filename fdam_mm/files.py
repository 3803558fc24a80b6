"""Writing files and folders so that an interruption leaves the old one or the new one, whole."""

import errno
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fdam_mm.errors import FDAMError, UsageError, WriteError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (*_FULL, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
# What a killed process leaves: of atomic_file, and of the one before it, which wrote no ".tmp".
_LEFTOVER = re.compile(r"\.(.+\.[a-z0-9_]{8}\.tmp|.+\.pth\.[a-z0-9_]{8})")


@contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path``; at the end it is on the disk and renamed to ``path``.

    Folders are made as needed. After an error the temporary file is removed and ``path`` is as it
    was; a killed process leaves ``.NAME.XXXX.tmp`` behind, which :func:`sweep` removes.

    Raises:
        WriteError: The disk is full, the folder cannot be written to, or it is a file.
        OSError: The disk fails otherwise.
    """
    target = Path(path)
    with _write_errors(target, _REFUSED):
        _make_parent(target)
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", suffix=".tmp", delete=False
        ) as file:
            try:
                lock(file.fileno())  # in use, says this to sweep
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


def require_writable(path: str | Path) -> None:
    """See that ``path`` can be written, before long work whose result it shall hold.

    Nothing is made, and a disk that fills up meanwhile is seen when it is written.

    Raises:
        WriteError: It is a folder, a part of it is no folder, or its folder refuses.
    """
    target = Path(path)
    if target.is_dir():
        raise WriteError(f"cannot write {target}: it is a folder, expected a file")
    _refuse_no_folder(target)
    folder = next(part for part in target.absolute().parents if part.is_dir())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WriteError(f"cannot write {target}: {folder} may not be written to")


def require_folder(path: str | Path, argument: str) -> None:
    """See that ``path`` is a folder or can become one.

    Raises:
        UsageError: It, or a part of it, is a file.
    """
    for part in (Path(path), *Path(path).parents):
        if part.is_file():
            raise UsageError(f"{argument} {path}: {part} is a file, expected a folder")


def require_new_folder(path: str | Path, argument: str) -> None:
    """See that ``path`` can be made, or is there and empty: nothing is written over.

    Raises:
        UsageError: Something is in it, or it, or a part of it, is a file.
    """
    require_folder(path, argument)
    if Path(path).is_dir() and any(Path(path).iterdir()):
        raise UsageError(f"{argument} {path} is there and not empty; name a new folder")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``target``, and rename it to ``target`` at the end.

    After an error or an interrupt the temporary folder is removed and there is no target.

    Raises:
        WriteError: The disk is full, the folder cannot be written to, or it is a file.
        OSError: ``target`` exists and is not an empty folder, or the disk fails otherwise.
    """
    with _write_errors(target, _REFUSED):
        _make_parent(target)
        holder = Path(
            tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        )
        try:
            folder = holder / target.name  # inside: mkdtemp's folder is closed to other users
            folder.mkdir()
            yield folder
            folder.replace(target)
        finally:
            shutil.rmtree(holder, ignore_errors=True)


@contextmanager
def full_disk_errors(folder: str | Path) -> Iterator[None]:
    """Say in one line that the disk is full, whatever of a run in ``folder`` meets it.

    Raises:
        WriteError: The disk is full; names the file if it is known, and the space that is free.
    """
    with _write_errors(Path(folder), _FULL):
        yield


def lock(descriptor: int) -> bool | None:
    """Take the only lock on an open file; it is freed when its owner closes the file or dies.

    Returns:
        False where another process has it, None where this file system knows no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # as on NFS without a lock service
        logging.getLogger(__name__).debug("files cannot be locked here: %s", error)
        return None
    return True


def sweep(folder: str | Path) -> list[str]:
    """Remove from ``folder`` the temporary files that killed writers left; returns their names.

    Only plain files directly in it that are named as :func:`atomic_file` names them, and that no
    living process holds.
    """
    swept = []
    with os.scandir(folder) as entries:
        found = [e for e in entries if _LEFTOVER.fullmatch(e.name)]
    for entry in found:
        if not entry.is_file(follow_symlinks=False):
            continue
        try:
            with open(entry.path, "rb") as file:
                if lock(file.fileno()):
                    os.unlink(entry.path)
                    swept.append(entry.name)
        except OSError as error:
            logging.getLogger(__name__).debug("%s stays: %s", entry.path, error)
    return swept


@contextmanager
def _write_errors(target: Path, kinds: tuple[int, ...]) -> Iterator[None]:
    try:
        yield
    except FDAMError:
        raise
    except OSError as error:
        if error.errno not in kinds or not _concerns(error, target):
            raise
        if error.errno in _FULL:
            place = next(p for p in (target, *target.absolute().parents) if p.is_dir())
            free = shutil.disk_usage(place).free / 2**20
            remedy = f"; {free:.1f} MiB are free in {place}, make room there"
        else:
            remedy = ""
        raise WriteError(f"cannot write {target}: {error.strerror}{remedy}") from error


def _make_parent(target: Path) -> None:
    """Raises WriteError where a part of the path is no folder."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        _refuse_no_folder(target, error)
        raise


def _refuse_no_folder(target: Path, cause: OSError | None = None) -> None:
    """Raises WriteError where a part of the path is there and no folder."""
    for part in target.parents:
        if not part.is_dir() and (part.is_symlink() or part.exists()):
            what = "a file" if part.exists() else "a link to nothing"
            raise WriteError(
                f"cannot write {target}: {part} is {what}, expected a folder"
            ) from cause


def _concerns(error: OSError, target: Path) -> bool:
    """Whether ``target`` could not be written, not another file read."""
    if error.errno in _FULL or error.filename is None:
        return True
    place = Path(os.fsdecode(error.filename)).absolute()
    ours = any(part.startswith(f".{target.name}.") for part in place.parts)
    return ours or place == target.absolute() or place in target.absolute().parents


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
