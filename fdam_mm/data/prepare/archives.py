"""Preparing data sets: unpack zips safely, link folders, and leave nothing half done."""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from fdam_mm.errors import PreparationError

_BLOCK = 4096  # bytes; a file takes whole blocks on most disks
_MAX_LISTED = 10  # problems named in one message

Members = dict[PurePosixPath, zipfile.ZipInfo]
"""Files of a zip by the path that they are to have."""


def is_there(target: Path) -> bool:
    """Whether the target exists, as a folder.

    Raises:
        PreparationError: it is something else.
    """
    if target.is_symlink() and not target.exists():
        raise PreparationError(f"{target} is a broken link, expected nothing there; move it away")
    if target.exists() and not target.is_dir():
        raise PreparationError(f"{target} is a file, expected nothing there; move it away")
    return target.exists()


def require_complete(problems: list[str], where: Path, name: str, advice: str) -> None:
    """Raise a PreparationError that names the first problems, if there are any."""
    if not problems:
        return
    listed = problems[:_MAX_LISTED]
    if len(problems) > _MAX_LISTED:
        listed.append(f"and {len(problems) - _MAX_LISTED} more")
    lines = "".join(f"\n  {line}" for line in listed)
    raise PreparationError(f"{where} is not a complete {name}; {advice}:{lines}")


def count_problems(what: str, found: int, official: int, allow_partial: bool) -> list[str]:
    """At most one line, where a number of pictures is 0 or, in a whole set, not the official."""
    if found == 0:
        return [f"{what} has no pictures, expected {official}"]
    if found != official and not allow_partial:
        return [
            f"{what} has {found} pictures, expected {official};"
            " get the official archive again, or pass --allow-partial if this is a part on purpose"
        ]
    return []


def link_folder(folder: Path, target: Path) -> None:
    """Make `target` a symbolic link to a folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(folder.resolve(), target_is_directory=True)
    except OSError as error:
        raise PreparationError(
            f"cannot make the link {target} -> {folder.resolve()}: {error}; "
            "unpack the zip instead, or copy the folder there yourself"
        ) from error


@contextmanager
def open_zip(src: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip; errors of reading it, also later on, become a PreparationError."""
    try:
        with zipfile.ZipFile(src) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise PreparationError(
            f"{src} is broken or not a zip, expected the official {src.name}; "
            f"download it again ({error})"
        ) from error
    except (NotImplementedError, RuntimeError) as error:  # an unknown method, or a password
        raise PreparationError(f"{src} cannot be unpacked: {error}") from error
    except OSError as error:
        raise PreparationError(f"cannot unpack {src}: {error}") from error


def safe_members(archive: zipfile.ZipFile, src: Path) -> Members:
    """The files of an archive by their path.

    Raises:
        PreparationError: an entry would be written outside the target, or is a link.
    """
    members: Members = {}
    for info in archive.infolist():
        path = PurePosixPath(info.filename)
        outside = path.is_absolute() or ".." in path.parts
        if outside or "\\" in info.filename or ":" in info.filename:
            raise PreparationError(
                f"{src} holds the unsafe path {info.filename!r}, expected paths below its folder; "
                "nothing was unpacked, download the official archive"
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise PreparationError(
                f"{src} holds the link {info.filename!r}, expected plain files; "
                "nothing was unpacked, download the official archive"
            )
        if not info.is_dir():
            members[path] = info
    return members


def require_space(infos: Iterable[zipfile.ZipInfo], target: Path) -> None:
    """Raise a PreparationError where the disk of `target` is too small for the files."""
    needed = sum(-(-info.file_size // _BLOCK) * _BLOCK for info in infos)
    existing = next(parent for parent in target.absolute().parents if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise PreparationError(
            f"{existing} has {free / 1e9:.2f} GB free, expected at least {needed / 1e9:.2f} GB; "
            "free some space or choose another folder"
        )


def extract(
    archive: zipfile.ZipFile,
    members: Mapping[PurePosixPath, zipfile.ZipInfo],
    folder: Path,
    name: str,
) -> None:
    """Write files below a new folder and show the progress under a name."""
    for path, info in tqdm(members.items(), desc=f"unpacking {name}", unit="file"):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as packed, file.open("xb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
