"""What two processes under ``dist_train.sh`` say of an error that ends both."""

from pathlib import Path

import pytest
from support.tools import TINY, run_tool

from fdam_mm.data.demo.demo_set import write_demo_set

USERS = """
from mmengine.registry import DATASETS
from mmseg.datasets import BaseSegDataset

@DATASETS.register_module()
class UsersSet(BaseSegDataset):
    def __len__(self):
        return 1 // 0
"""
CONFIG = """
_base_ = {base!r}
custom_imports = dict(imports=["fdam_mm.openmmlab", "users_set"])
train_dataloader = dict(dataset=dict(type="UsersSet"))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "demo"
    write_demo_set(root, num_train=8, num_val=4, size=64)
    return root


def test_a_setting_is_one_line(data: Path, tmp_path: Path) -> None:
    options = [f"data_root={data}", "model.backbone.embed_dims=a"]
    done = run_tool("dist_train.sh", TINY, 2, "--cfg-options", *options, cwd=tmp_path)
    assert done.returncode == 1
    assert _said(done.stderr) == [
        "train.py: error: model.backbone.embed_dims is 'a', expected a whole number"
    ]


def test_an_error_in_code_of_users_is_its_traceback_once(data: Path, tmp_path: Path) -> None:
    (tmp_path / "users_set.py").write_text(USERS)
    (tmp_path / "config.py").write_text(CONFIG.format(base=str(TINY)))
    done = run_tool(
        "dist_train.sh", "config.py", 2, "--cfg-options", f"data_root={data}", cwd=tmp_path
    )
    assert done.returncode == 1
    lines = _said(done.stderr)
    assert lines.count("Traceback (most recent call last):") == 1
    assert lines[0].startswith("Traceback") and lines[-1].startswith("ZeroDivisionError")
    assert sum("users_set.py" in line for line in lines) == 1


def _said(stderr: str) -> list[str]:
    """The lines from the first error on; what Python warns of before is no part of it."""
    lines = stderr.rstrip().splitlines()
    starts = [n for n, line in enumerate(lines) if "rror" in line or line.startswith("Traceback")]
    return lines[min(starts, default=0) :]
