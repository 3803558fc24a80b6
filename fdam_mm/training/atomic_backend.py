"""mmengine's local files, written atomically."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from fdam_mm.files import write_atomically


@register_backend("atomic_local")
class AtomicLocalBackend(LocalBackend):
    """An interrupted write leaves the old file, never half of the new one."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        write_atomically(filepath, obj)
