"""Which checkpoint files the trainings of a folder wrote: these alone may be removed."""

import json
import os
import shutil
from typing import Any

from mmengine.fileio import BaseStorageBackend

RECORD = ".checkpoints.json"


class CheckpointRecord:
    """The names of the checkpoints that were written to a folder, kept in a file beside them.

    A checkpoint may name any path as its predecessor, and a folder may hold files that were put
    there by hand. Neither says what is ours to remove; this does. It goes along when the folder
    is copied or moved.

    Args:
        folder: Of the checkpoints.
        backend: mmengine's, of that folder.
    """

    def __init__(self, folder: str, backend: BaseStorageBackend) -> None:
        self.folder = folder
        self.backend = backend

    def add(self, name: str) -> None:
        """Note a file that is about to be written; ``NAME/`` for a folder, once it is there."""
        names = self.names()
        if name not in names:
            self._write([*names, name])

    def owns(self, name: Any) -> bool:
        """Whether ``name`` is that of a plain file in the folder which a training here wrote."""
        if name not in self.names():
            return False
        path = self.path(name)
        return not os.path.islink(path) and self.backend.isfile(path)

    def owns_folder(self, name: str) -> bool:
        """Whether ``name`` is that of a folder which a training here wrote, on a local disk."""
        path = self.path(name)
        return f"{name}/" in self.names() and os.path.isdir(path) and not os.path.islink(path)

    def remove(self, name: str) -> bool:
        """Remove a checkpoint and its name; what is not owned stays, and False says so."""
        owned, owned_folder = self.owns(name), self.owns_folder(name)
        if owned:
            self.backend.remove(self.path(name))
        elif owned_folder:
            shutil.rmtree(self.path(name))
        names = self.names()
        if name in names:
            self._write([other for other in names if other.rstrip("/") != name])
        return owned or owned_folder

    def path(self, name: str) -> str:
        return self.backend.join_path(self.folder, name)

    def names(self) -> list[str]:
        """In the order of their writing; read anew, for several hooks may save to one folder."""
        file = self.path(RECORD)
        try:
            names = json.loads(self.backend.get_text(file)) if self.backend.isfile(file) else []
        except (OSError, ValueError, RecursionError):
            return []  # then nothing is known to be ours, and nothing is removed
        if not isinstance(names, list):
            return []
        names = [name for name in names if isinstance(name, str)]
        return [
            n for n in names if (bare := n.removesuffix("/")) and bare == os.path.basename(bare)
        ]

    def _write(self, names: list[str]) -> None:
        self.backend.put_text(json.dumps(names), self.path(RECORD))
