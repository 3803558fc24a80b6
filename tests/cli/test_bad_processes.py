"""Launchers, as real processes; which errors keep their traceback."""

import os
import subprocess
from pathlib import Path

import pytest
from support.bad_inputs import Bad, name_of, run_here
from support.tools import ROOT, TINY

from fdam_mm.errors import MissingFileError

LAUNCHERS = [
    Bad("dist_train.sh", "tools/dist_train.sh CONFIG GPUS", 2),
    Bad("dist_train.sh a.py", "tools/dist_train.sh CONFIG GPUS", 2),
    Bad("dist_train.sh a.py two", "GPUS is 'two', expected a number of processes", 2),
    Bad("dist_train.sh a.py 0", "GPUS is '0', expected a number of processes", 2),
    Bad("dist_test.sh a.py a.pth", "tools/dist_test.sh CONFIG CHECKPOINT GPUS", 2),
    Bad("dist_test.sh a.py a.pth two", "GPUS is 'two', expected a number of processes", 2),
    Bad("NNODES=two dist_train.sh a.py 1", "NNODES is 'two', expected a number from 1", 2),
    Bad("NNODES=2 dist_train.sh a.py 1", "NNODES is 2: set MASTER_ADDR to the address", 2),
    Bad("PORT=99999 dist_train.sh a.py 1", "PORT is '99999', expected a number from 1", 2),
    Bad("NODE_RANK=3 dist_train.sh a.py 1", "NODE_RANK is '3', expected a number from 0 to 0", 2),
    Bad("slurm_train.sh gpu", "tools/slurm_train.sh PARTITION JOB_NAME CONFIG", 2),
    Bad("slurm_test.sh gpu name a.py", "tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECK", 2),
    Bad("slurm_train.sh gpu name a.py", "srun not found: this is no Slurm cluster", 1),
    Bad("PYTHON=nowhere install.sh new", "install: nowhere not found; set PYTHON to a Python", 1),
]
OWN_SET = """
from mmengine.registry import DATASETS
from mmseg.datasets import BaseSegDataset

@DATASETS.register_module(force=True)
class {name}(BaseSegDataset):
    def {method}:
        raise {error}("a fault of mine")
"""
OWN_CONFIG = """
_base_ = "{base}"
custom_imports = dict(imports=["{name}"])
train_dataloader = dict(dataset=dict(type="{name}"))
"""
FAULTS = [
    ("__init__(self, **settings)", RuntimeError),
    ("__init__(self, **settings)", FileNotFoundError),
    ("__getitem__(self, index)", RuntimeError),
    ("__getitem__(self, index)", FileNotFoundError),
]


@pytest.mark.parametrize("row", LAUNCHERS, ids=name_of)
def test_launchers(row: Bad, tmp_path: Path) -> None:
    *settings, name = (word for word in row.command.split() if "=" in word or ".sh" in word)
    arguments = row.command.split(name)[1].split()
    unset = ("NNODES", "NODE_RANK", "MASTER_ADDR", "PORT")
    environment = {k: v for k, v in os.environ.items() if k not in unset}
    environment |= dict(word.split("=") for word in settings)
    done = subprocess.run(
        ["bash", ROOT / "tools" / name, *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == row.code, done.stderr
    assert row.message in done.stderr
    assert not list(tmp_path.iterdir())


def test_debugging_shows_the_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = run_here(["train.py", "not_there.py"], monkeypatch, capsys)
    assert plain == (1, "", "train.py: error: config not_there.py does not exist\n")
    monkeypatch.setenv("FDAM_DEBUG", "1")
    with pytest.raises(MissingFileError, match="^config not_there.py does not exist$"):
        run_here(["train.py", "not_there.py"], monkeypatch, capsys)


@pytest.mark.parametrize(("method", "error"), FAULTS)
def test_a_fault_of_a_users_own_data_set_keeps_its_traceback(
    method: str,
    error: type[Exception],
    files: Path,
    quick_start: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    name = f"own_set_{method[2:6]}_{error.__name__}"
    text = OWN_SET.format(name=name, method=method, error=error.__name__)
    Path(f"{name}.py").write_text(text)
    Path("own.py").write_text(OWN_CONFIG.format(name=name, base=TINY))
    options = ["--cfg-options", f"data_root={files / 'data'}"]
    with pytest.raises(error, match="a fault of mine") as raised:
        run_here(["train.py", "own.py", *options], monkeypatch, capsys)
    assert raised.traceback[-1].path == tmp_path / f"{name}.py"
