"""What a training leaves in its work folder: its config and its checkpoints."""

from pathlib import Path

from fdam_mm.errors import MissingFileError

from .resume_point import numbered_checkpoints


def find_config(folder: Path) -> Path:
    """The config that the training in ``folder`` ran.

    Raises:
        MissingFileError: There is none.
    """
    configs = sorted(folder.glob("*.py"), key=lambda file: file.stat().st_mtime)
    if not configs:
        raise MissingFileError(f"{folder} holds no config (*.py); is it the work folder?")
    return configs[-1]


def find_checkpoint(folder: Path) -> Path:
    """The best checkpoint in ``folder``, else the newest.

    Raises:
        MissingFileError: There is none.
    """
    best = sorted(folder.glob("best_*.pth"), key=lambda file: file.stat().st_mtime)
    if best:
        return best[-1]
    newest = newest_step(folder)
    if newest is None:
        raise MissingFileError(f"{folder} holds no checkpoint (best_*, iter_* or epoch_*.pth)")
    return newest


def newest_step(folder: Path) -> Path | None:
    """The checkpoint of the last iteration or epoch in ``folder``, None without any."""
    return next(iter(numbered_checkpoints(folder)), None)
