"""Finding the checkpoint with which an interrupted training goes on."""

import os
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from fdam_mm.errors import CheckpointError

POINTER = "last_checkpoint"
TEMPLATES = ("iter_{}.pth", "epoch_{}.pth")


def newest_checkpoint(
    work_dir: str | Path,
    folder: str | Path,
    say: Callable[[str], None],
    template: str = TEMPLATES[0],
    folders: bool = False,
) -> Path | None:
    """Find the newest checkpoint of a training that can be read.

    That is the file which ``last_checkpoint`` names, or else the readable ``iter_*.pth`` or
    ``epoch_*.pth`` of the highest number. The name alone counts, never a folder before it, so
    that a copied or moved training goes on with its own files.

    Args:
        work_dir: Folder of the training, with ``last_checkpoint``.
        folder: Folder of its checkpoints, mostly the same.
        say: Takes a line for each thing that is not as it should be.
        template: How the training names its checkpoints; those named so come first.
        folders: Whether one may be a folder with a file of each process, as DeepSpeed writes.

    Returns:
        The file, or None if the training has written none yet.

    Raises:
        CheckpointError: There are checkpoints, or should be, and none is whole.
    """
    folder = Path(folder)
    numbered = numbered_checkpoints(folder, template)
    named = _named(Path(work_dir), folder, say, expected=bool(numbered))
    damaged = []
    for file in [*([named] if named else []), *(f for f in numbered if f != named)]:
        problem = None if folders and _holds_parts(file) else damage(file)
        if problem is None:
            if file != named:
                say(f"goes on with {file}, the newest checkpoint that can be read")
            return file
        damaged.append(f"{file.name} {problem}")
        say(f"{file} is passed over: it {problem}")
    if damaged:
        raise CheckpointError(
            f"{folder} holds no checkpoint that can be resumed: {'; '.join(damaged[:4])}. Start "
            "afresh in another folder, or resume a copy: --resume FILE"
        )
    return None


def damage(file: str | Path, contents: bool = True) -> str | None:
    """What is wrong with a file that torch.save should have written, or None if it is whole.

    Args:
        file: To look at.
        contents: Whether to compare every tensor with its checksum too, which reads all of it.
    """
    if not os.path.isfile(file):
        return "does not exist"
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                return "was not written by torch.save"
            if not any(member.filename.endswith("/data.pkl") for member in members):
                return "was not written by torch.save"
            broken = archive.testzip() if contents else None
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return f"is truncated or damaged ({os.path.getsize(file)} bytes)"
    return f"is damaged (in {broken})" if broken else None


def step(name: str, template: str) -> int | None:
    """The number in a name like ``iter_{}.pth``, None for other names."""
    pattern = r"(\d{1,18})".join(map(re.escape, template.split("{}", 1)))
    match = re.fullmatch(pattern, name)
    return int(match[1]) if match else None


def numbered_checkpoints(folder: Path, template: str = TEMPLATES[0]) -> list[Path]:
    """What trainings write at their intervals, by name: ``template`` first, high numbers first."""
    names = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    found = []
    for kind in dict.fromkeys((template, *TEMPLATES)):
        numbers = {name: number for name in names if (number := step(name, kind)) is not None}
        found += sorted(numbers, key=numbers.__getitem__, reverse=True)
    return [folder / name for name in found]


def _holds_parts(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _named(
    work_dir: Path, folder: Path, say: Callable[[str], None], expected: bool
) -> Path | None:
    """The file in ``folder`` with the name that ``last_checkpoint`` holds."""
    pointer = work_dir / POINTER
    try:
        with pointer.open("rb") as file:
            text = os.fsdecode(file.read(4096)).strip()
    except FileNotFoundError:
        if expected:
            say(f"{pointer} is missing")
        return None
    except OSError as error:
        say(f"{pointer} cannot be read: {error.strerror}")
        return None
    name = os.path.basename(text)
    if not name or "\0" in name or not name.isprintable():
        say(f"{pointer} is {'damaged' if text else 'empty'}")
        return None
    before = os.path.dirname(text)
    if before and os.path.realpath(work_dir / before) != os.path.realpath(folder):
        say(f"{pointer} names {text}, a file of another folder; {folder / name} counts here")
    return folder / name
