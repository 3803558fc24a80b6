"""A process in which some packages cannot be imported."""

import subprocess
import sys
from pathlib import Path

from support.tools import ROOT

TOOLKITS = ("torch", "mmengine", "mmcv", "PIL", "tqdm", "shapely")

_BLOCK = """
import sys
from pathlib import Path
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ImportError(f"{{name}} was imported")
sys.meta_path.insert(0, Blocked())
"""


def run_without(names: tuple[str, ...], code: str) -> None:
    """Run ``code`` in a fresh Python where importing ``names`` fails; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-c", _BLOCK.format(names=names) + code],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def predict_without_torch(file: Path, folder: Path) -> None:
    """Load an export in a Python without the toolkits, predict with tiles, save all there is."""
    code = f"""
import numpy as np
from fdam_mm.runtime import load
result = load({str(file)!r})(np.zeros((70, 90, 3), np.uint8), tile=64)
result.save({str(folder)!r})
result.save_drawing({str(folder)!r})
"""
    run_without(TOOLKITS, code)
