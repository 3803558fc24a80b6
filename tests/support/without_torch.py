"""A process in which some packages cannot be imported."""

import subprocess
import sys

from support.tools import ROOT

TOOLKITS = ("torch", "mmengine", "mmcv", "PIL", "tqdm", "shapely")

_BLOCK = """
import sys
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
