"""Writing files so that an interrupted write leaves the old file, never half of the new one."""

import os
import tempfile
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


@register_backend("atomic_local")
class AtomicLocalBackend(LocalBackend):
    """mmengine's local files, written beside the target first and then renamed over it."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        target = Path(filepath)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            try:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o666 & ~_umask())
                os.replace(file.name, target)
            except BaseException:
                os.unlink(file.name)
                raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
