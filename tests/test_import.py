"""Importing: silent, once in the root registry, and the layers with torch alone."""

import subprocess
import sys

from support.tools import ROOT


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr


def test_import_is_silent() -> None:
    code = "import fdam_mm; from mmengine.registry import MODELS; "
    assert python(code + "assert MODELS.get('FDAMVisionTransformer')") == ""


def test_layers_need_torch_alone() -> None:
    """Where no package of OpenMMLab can be found, the layers import and run."""
    code = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("mmengine", "mmcv", "mmseg", "mmdet", "mmrotate", "timm", "cv2"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "mmengine" else find_spec(name, *a)
import torch
from fdam_mm.layers import AttInvAttention, FreqScale
FreqScale(32)(AttInvAttention(32, 4)(torch.randn(1, 12, 32)), hw=(3, 4))
assert not [m for m in sys.modules if m.startswith(("mmengine", "mmcv", "mmseg"))]
"""
    assert python(code) == ""
