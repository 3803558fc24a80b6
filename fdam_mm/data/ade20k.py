"""ADE20K (SceneParse150): unpack the official archive, or link an unpacked folder, with checks.

The layout, as mmseg's `ADE20KDataset` configs expect it below `data/ade`:

    ADEChallengeData2016/
        images/training/NAME.jpg         annotations/training/NAME.png
        images/validation/NAME.jpg       annotations/validation/NAME.png
"""

import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tqdm import tqdm

FOLDER = "ADEChallengeData2016"
SPLITS = ("training", "validation")
OFFICIAL_COUNTS = {"training": 20210, "validation": 2000}
_BLOCK = 4096  # bytes; a file takes whole blocks on most disks
_MAX_LISTED = 10  # problems named in one message


class PreparationError(Exception):
    """The data cannot be prepared; the message says why and what to do."""


def prepare_ade20k(src: Path, dst: Path, allow_partial: bool = False) -> bool:
    """Make `dst/ADEChallengeData2016` from the official zip or from the folder unpacked from it.

    A zip is unpacked into a temporary folder beside the target, which is then renamed. A folder is
    neither moved nor copied: the target becomes a symbolic link to it. Nothing is overwritten.

    Args:
        src: `ADEChallengeData2016.zip`, or the unpacked folder or its parent.
        dst: folder to hold `ADEChallengeData2016`; made when missing.
        allow_partial: accept other numbers of pictures than the official ones.

    Returns:
        True when the target was made, False when it was there already and is complete.

    Raises:
        PreparationError: the source is missing, broken, unsafe or incomplete, the disk is too
            small, or the target exists and is not complete.
    """
    target = dst / FOLDER
    if target.exists() or target.is_symlink():
        _require_complete_target(target, allow_partial)
        return False
    if src.is_dir():
        _link_folder(src, target, allow_partial)
    elif src.is_file():
        _unpack(src, target, allow_partial)
    else:
        raise PreparationError(
            f"{src} does not exist; expected {FOLDER}.zip or the folder unpacked from it"
        )
    return True


def layout_problems(names: Iterable[PurePosixPath], allow_partial: bool = False) -> list[str]:
    """Check file names against the layout.

    Args:
        names: paths of files below `ADEChallengeData2016`, such as `images/training/a.jpg`.
        allow_partial: accept other numbers of pictures than the official ones.

    Returns:
        One line for each problem; an empty list when the layout is complete.
    """
    stems: dict[tuple[str, str], set[str]] = {}
    for name in names:
        if len(name.parts) == 3 and not name.name.startswith("."):
            kind, split, _ = name.parts
            if name.suffix == {"images": ".jpg", "annotations": ".png"}.get(kind):
                stems.setdefault((kind, split), set()).add(name.stem)
    problems: list[str] = []
    for split in SPLITS:
        images = stems.get(("images", split), set())
        annotations = stems.get(("annotations", split), set())
        problems += _count_problems(split, len(images), allow_partial)
        problems += [
            f"images/{split}/{stem}.jpg has no annotation, expected annotations/{split}/{stem}.png"
            for stem in sorted(images - annotations)
        ]
        problems += [
            f"annotations/{split}/{stem}.png has no image, expected images/{split}/{stem}.jpg"
            for stem in sorted(annotations - images)
        ]
    return problems


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder beside `target`, and rename it to `target` at the end.

    After an error or an interrupt the temporary folder is removed and there is no target.

    Raises:
        OSError: `target` exists and is not an empty folder, or the disk refuses.
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


def _count_problems(split: str, found: int, allow_partial: bool) -> list[str]:
    if found == 0:
        return [f"images/{split} has no pictures, expected {OFFICIAL_COUNTS[split]} .jpg files"]
    if found != OFFICIAL_COUNTS[split] and not allow_partial:
        return [
            f"images/{split} has {found} pictures, expected {OFFICIAL_COUNTS[split]};"
            " get the official archive again, or pass --allow-partial if this is a part on purpose"
        ]
    return []


def _require_complete(problems: list[str], where: Path, advice: str) -> None:
    """Raise a PreparationError that names the first problems, if there are any."""
    if not problems:
        return
    listed = problems[:_MAX_LISTED]
    if len(problems) > _MAX_LISTED:
        listed.append(f"and {len(problems) - _MAX_LISTED} more")
    lines = "".join(f"\n  {line}" for line in listed)
    raise PreparationError(f"{where} is not a complete {FOLDER}; {advice}:{lines}")


def _require_complete_target(target: Path, allow_partial: bool) -> None:
    if not target.is_dir():
        kind = "is a broken link" if target.is_symlink() else "is a file"
        raise PreparationError(f"{target} {kind}, expected nothing there; move it away")
    problems = layout_problems(_files_below(target), allow_partial)
    _require_complete(problems, target, "it exists and is left as it is, so move it away first")


def _files_below(folder: Path) -> Iterator[PurePosixPath]:
    """Yield the files three levels down, relative to the folder."""
    for path in folder.glob("*/*/*"):
        yield PurePosixPath(path.relative_to(folder).as_posix())


def _link_folder(src: Path, target: Path, allow_partial: bool) -> None:
    folder = src / FOLDER if (src / FOLDER).is_dir() else src
    problems = layout_problems(_files_below(folder), allow_partial)
    _require_complete(problems, folder, "unpack the official archive again")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(folder.resolve(), target_is_directory=True)
    except OSError as error:
        raise PreparationError(
            f"cannot make the link {target} -> {folder.resolve()}: {error}; "
            "unpack the zip instead, or copy the folder there yourself"
        ) from error


def _unpack(src: Path, target: Path, allow_partial: bool) -> None:
    broken = f"{src} is broken or not a zip, expected the official {FOLDER}.zip; download it again"
    try:
        with zipfile.ZipFile(src) as archive:
            members = _safe_members(archive, src)
            problems = layout_problems(members, allow_partial)
            _require_complete(problems, src, "download the official archive again")
            _require_space(members.values(), target)
            with new_folder(target) as folder:
                _extract(archive, members, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise PreparationError(f"{broken} ({error})") from error
    except (NotImplementedError, RuntimeError) as error:  # an unknown method, or a password
        raise PreparationError(f"{src} cannot be unpacked: {error}") from error
    except OSError as error:
        raise PreparationError(f"cannot unpack {src} to {target}: {error}") from error


def _safe_members(archive: zipfile.ZipFile, src: Path) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return the archive's files by their path below `ADEChallengeData2016`.

    Raises:
        PreparationError: an entry would be written outside the target, or is a link.
    """
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        path = PurePosixPath(info.filename)
        outside = path.is_absolute() or ".." in path.parts
        if outside or "\\" in info.filename or ":" in info.filename:
            raise PreparationError(
                f"{src} holds the unsafe path {info.filename!r}, expected paths below {FOLDER}/; "
                "nothing was unpacked, download the official archive"
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise PreparationError(
                f"{src} holds the link {info.filename!r}, expected plain files; "
                "nothing was unpacked, download the official archive"
            )
        if not info.is_dir() and len(path.parts) > 1 and path.parts[0] == FOLDER:
            members[path.relative_to(FOLDER)] = info
    return members


def _require_space(infos: Iterable[zipfile.ZipInfo], target: Path) -> None:
    needed = sum(-(-info.file_size // _BLOCK) * _BLOCK for info in infos)
    existing = next(parent for parent in target.absolute().parents if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise PreparationError(
            f"{existing} has {free / 1e9:.2f} GB free, expected at least {needed / 1e9:.2f} GB; "
            "free some space or choose another folder"
        )


def _extract(
    archive: zipfile.ZipFile, members: dict[PurePosixPath, zipfile.ZipInfo], folder: Path
) -> None:
    for path, info in tqdm(members.items(), desc=f"unpacking {FOLDER}", unit="file"):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as packed, file.open("xb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
