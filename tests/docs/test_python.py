"""The Python that docs/python.md shows, run as it stands."""

import re
import shutil
from pathlib import Path

import pytest
from support.tools import ROOT, TINY

from fdam_mm.apis import train
from fdam_mm.data.demo.demo_set import write_demo_set

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the work folder, the pictures and the config that the page names."""
    folder = tmp_path_factory.mktemp("docs")
    write_demo_set(folder / "demo", num_train=8, num_val=4, size=64)
    settings = f"_base_ = '{TINY}'\ndata_root = '{folder / 'demo'}'\n"
    for split in ("train", "val", "test"):
        settings += f"{split}_dataloader = dict(dataset=dict(data_root=data_root))\n"
    (folder / "my_config.py").write_text(settings)
    train(folder / "my_config.py", folder / "work_dirs/nuts")
    shutil.copytree(folder / "demo/images/validation", folder / "photos")
    first = min((folder / "photos").iterdir())
    first.rename(folder / "photos/1.jpg")
    return folder


@pytest.mark.parametrize("code", BLOCKS, ids=lambda code: code.splitlines()[2])
def test_block(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    if "supervision" in code:
        pytest.importorskip("supervision")
    exec(code, {})
    assert len(code.splitlines()) <= 10
