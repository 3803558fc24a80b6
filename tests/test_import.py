"""Importing: the root needs torch alone, whatever is installed; registration is one module."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.tools import ROOT

OTHERS = ("mmengine", "mmcv", "mmseg", "mmdet", "mmrotate", "timm", "cv2")
needs_mmcv = pytest.mark.skipif(find_spec("mmcv") is None, reason="needs mmcv")
USE_LAYERS = """
import torch
from fdam_mm.inject import apply_fdam
from fdam_mm.layers import AttInvAttention, FreqScale
FreqScale(32)(AttInvAttention(32, 4)(torch.randn(1, 12, 32)), hw=(3, 4))
"""


def python(code: str, *folders: Path) -> str:
    """What ``code`` prints; ``folders`` come before everything else on the path."""
    path = [str(folder) for folder in (*folders, ROOT)]
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error::UserWarning",
            "-c",
            f"import sys; sys.path[:0] = {path}\n{code}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def _stubs(folder: Path, packages: tuple[str, ...], body: str) -> Path:
    for package in packages:
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text(body)
    return folder


def test_root_imports_torch_alone() -> None:
    """Not one module more, though all of OpenMMLab is installed here: not torch's compiler either,
    which takes seconds."""
    code = """
import torch
before = set(sys.modules)
import fdam_mm, fdam_mm.inject, fdam_mm.layers
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(new - set(sys.stdlib_module_names))
"""
    assert python(code).strip() == "{'fdam_mm'}"


def test_the_command_lists_itself_without_torch() -> None:
    """Which takes seconds; names of the root come when they are asked for."""
    code = """
from fdam_mm.cli.main import main
main(["--help"])
assert "torch" not in sys.modules
import fdam_mm
assert {*fdam_mm.__all__} <= {*dir(fdam_mm)} and not hasattr(fdam_mm, "nothing")
assert all(hasattr(fdam_mm, name) for name in fdam_mm.__all__)
assert "torch" in sys.modules
"""
    assert "usage: fdam COMMAND" in python(code)


@pytest.mark.parametrize("error", ["RuntimeError('built for another torch')", "AssertionError"])
def test_layers_where_others_are_broken(error: str, tmp_path: Path) -> None:
    stubs = _stubs(tmp_path, OTHERS, f"raise {error}")
    assert python(USE_LAYERS, stubs) == ""


def test_layers_where_mmengine_is_alone(tmp_path: Path) -> None:
    """As where a cv2 or mmcv would not install: found by name, absent on import."""
    stubs = _stubs(tmp_path, OTHERS[1:], "raise ModuleNotFoundError(__name__, name=__name__)")
    assert python(USE_LAYERS, stubs) == ""


@needs_mmcv
def test_registration_is_silent_and_complete() -> None:
    code = """
import fdam_mm.openmmlab
from mmengine import registry
for kind, name in [
    ("MODELS", "FDAMVisionTransformer"), ("MODELS", "FDAMTimmBackbone"), ("MODELS", "LSKNet"),
    ("MODELS", "MaskDINO"), ("MODELS", "ViTPyramid"), ("RUNNERS", "FDAMRunner"),
    ("HOOKS", "MeanLossHook"), ("OPTIM_WRAPPERS", "BFloat16OptimWrapper"),
    ("OPTIM_WRAPPER_CONSTRUCTORS", "FDAMOptimWrapperConstructor"),
    ("METRICS", "SaveOrientedResults"), ("METRICS", "CocoPanopticQuality"),
    ("TRANSFORMS", "LoadCocoPanoptic"), ("VISUALIZERS", "PanelVisualizer"),
    ("VISUALIZERS", "RotatedBoxVisualizer"),
]:
    assert getattr(registry, kind).get(name), name
"""
    assert python(code) == ""


@needs_mmcv
def test_registration_without_what_a_part_needs(tmp_path: Path) -> None:
    """mmdet broken, timm absent: the segmentation backbones are there, and one warning."""
    _stubs(tmp_path, ("mmdet",), "raise AssertionError('MMCV==9.9.9 is used')")
    _stubs(tmp_path, ("timm",), "raise ModuleNotFoundError(__name__, name=__name__)")
    code = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import fdam_mm.openmmlab
    from fdam_mm.models import FDAMVisionTransformer
from mmengine.registry import MODELS
print(*(w.message for w in caught if "fdam_mm" in str(w.message)), sep="\\n")
print([n for n in ("FDAMVisionTransformer", "MaskDINO", "FDAMTimmBackbone") if MODELS.get(n)])
"""
    warning, found = python(code, tmp_path).strip().splitlines()[-2:]
    assert "needs mmdet" in warning and "MMCV==9.9.9 is used" in warning
    assert found == "['FDAMVisionTransformer']"


@needs_mmcv
def test_tools_register_for_configs_that_name_nothing(tmp_path: Path) -> None:
    """A user's config need not have custom_imports where our tools read it."""
    (tmp_path / "config.py").write_text("model = dict(type='FDAMVisionTransformer')")
    code = f"""
from fdam_mm.training.config import read_config
config = read_config({str(tmp_path / "config.py")!r}, {{}})
from mmengine.registry import MODELS
assert MODELS.get(config.model.type)
"""
    assert python(code) == ""


def test_checkpoints_are_read_with_torch_alone(tmp_path: Path) -> None:
    """mmengine, where it is installed, is loaded for checkpoints that could be its own."""
    code = """
import torch
before = set(sys.modules)
import fdam_mm.checkpoints
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(new - set(sys.stdlib_module_names))
"""
    assert python(code).strip() == "{'fdam_mm'}"
    code = f"""
import importlib.util as util, torch
found, util.find_spec = util.find_spec, lambda name: None if name == "mmengine" else found(name)
sys.modules["mmengine"] = None
from fdam_mm.checkpoints import convert, load
torch.save(dict(state_dict=dict(a=torch.ones(2))), {str(tmp_path / "a.pth")!r})
print(*convert(load({str(tmp_path / "a.pth")!r})))
"""
    assert python(code).strip() == "a"
