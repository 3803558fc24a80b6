"""Training on a GPU: through the tools, resumed, under NCCL, with synchronised BatchNorm."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.tools import ROOT, TINY, losses, succeed

pytest.importorskip("mmseg")

from fdam_mm.data.demo.demo_set import write_demo_set  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "demo"
    write_demo_set(root, num_train=8, num_val=4, size=64)
    return root


@pytest.mark.parametrize("amp", [[], ["--amp"]], ids=["float32", "amp"])
def test_train_and_resume(amp: list[str], data: Path, tmp_path: Path, cuda: torch.device) -> None:
    options = [*amp, "--cfg-options", f"data_root={data}"]
    succeed("train.py", TINY, "--work-dir", "run", *options, cwd=tmp_path, fresh=True)
    curve = losses(tmp_path / "run")
    assert len(curve) == 6 and curve[-1] < curve[0]
    resume = ["--resume", tmp_path / "run/iter_3.pth"]
    succeed("train.py", TINY, "--work-dir", "again", *resume, *options, cwd=tmp_path, fresh=True)
    again = losses(tmp_path / "again")  # atomics of a GPU add in any order
    assert again == pytest.approx(curve[3:], rel=1e-2)


@pytest.mark.parametrize("processes", [1, 2])
def test_nccl(processes: int, data: Path, tmp_path: Path, cuda: torch.device) -> None:
    if torch.cuda.device_count() < processes:
        pytest.skip("needs two GPUs")
    options = ["--work-dir", "run", "--cfg-options", f"data_root={data}"]
    said = succeed("dist_train.sh", TINY, processes, *options, cwd=tmp_path)
    assert len(losses(tmp_path / "run")) == 6, said[-2000:]


def test_ddp_and_synchronised_batch_norm_give_the_gradients_of_one_process(
    tmp_path: Path, cuda: torch.device
) -> None:
    script = ROOT / "tests/gpu/one_process_ddp.py"
    command = [sys.executable, str(script), str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
