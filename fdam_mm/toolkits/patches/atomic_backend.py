"""mmengine's local files, written atomically.

Seen in mmengine 0.10.12: it writes in place, so that a killed process leaves empty or half files:
checkpoints, and the results that it, mmseg and mmdet dump as JSON or pickle.
"""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.fileio.io import backend_instances

from fdam_mm.files import write_atomically


@register_backend("atomic_local")
class AtomicLocalBackend(LocalBackend):
    """An interrupted write leaves the old file, never half of the new one."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        write_atomically(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        write_atomically(filepath, obj.encode(encoding))


def write_local_files_atomically() -> None:
    """Let paths without a scheme be written by :class:`AtomicLocalBackend`."""
    register_backend("local", AtomicLocalBackend, force=True, prefixes="")
    backend_instances.clear()  # of the class before
