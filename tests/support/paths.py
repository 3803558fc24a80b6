"""The repository, and what other processes import from."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python_path(*folders: Path) -> str:
    """PYTHONPATH of a process that imports from the repository and ``folders``, before what is on
    the caller's own: the toolkits may be installed there."""
    kept = os.environ.get("PYTHONPATH")
    return os.pathsep.join([*map(str, [ROOT, *folders]), *([kept] if kept else [])])
