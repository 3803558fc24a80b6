"""The wheel, away from the repository: it is light, and brings configs, tools and the command."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.tools import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, made of a source distribution as pip makes it."""
    folder = tmp_path_factory.mktemp("wheel")
    # of what git tracks, so that what lies around here cannot help
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True)
    (folder / "source").mkdir()
    subprocess.run(["tar", "x"], cwd=folder / "source", input=archive.stdout, check=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist"]
    subprocess.run([*command, folder / "source"], capture_output=True, check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder / "installed")
    return folder / "installed"


def python(installed: Path, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_layers_and_typing(installed: Path, tmp_path: Path) -> None:
    code = "import fdam_mm, fdam_mm.layers, fdam_mm.inject; print(fdam_mm.__file__)"
    assert str(installed) in python(installed, "-c", code, cwd=tmp_path)
    assert (installed / "fdam_mm/py.typed").is_file()


def test_configs_are_found_by_the_package_name(installed: Path, tmp_path: Path) -> None:
    name = "deit3/fdam-deit3-b16_upernet_4xb4-160k_ade20k-512x512.py"
    (tmp_path / "mine.py").write_text(f"_base_ = ['fdam_mm::{name}']\n")
    code = """
from fdam_mm.training.config import read_config
config = read_config("mine.py", {})
assert config.model.backbone.type == "FDAMVisionTransformer", config.model
assert read_config("configs/demo/vit_demo.py", {}).default_scope == "mmseg"
"""
    python(installed, "-c", code, cwd=tmp_path)


def test_tools_run(installed: Path, tmp_path: Path) -> None:
    tools = installed / "fdam_mm/.mim/tools"
    assert "usage" in python(installed, str(tools / "train.py"), "--help", cwd=tmp_path)
    assert (tools / "dist_train.sh").is_file()
    assert "predict" in python(installed, "-m", "fdam_mm.cli.main", "--help", cwd=tmp_path)
