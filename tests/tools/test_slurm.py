"""The Slurm scripts, with a stand-in for srun that runs the job here."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from support.paths import python_path
from support.tools import ROOT, TINY, losses

from fdam_mm.data.demo.demo_set import write_demo_set

SRUN = """#!/bin/bash
printf '%s\\n' "$@" > srun_arguments
while [ "$1" != bash ]; do shift; done
export SLURM_NODEID=0 SLURM_JOB_NODELIST=here
exec "$@"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_training_on_a_node(tmp_path: Path) -> None:
    write_demo_set(tmp_path / "data", num_train=8, num_val=4, size=64)
    for name, text in (("srun", SRUN), ("scontrol", "#!/bin/sh\necho 127.0.0.1\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    settings = [f"data_root={tmp_path / 'data'}", "train_cfg.max_iters=1", "val_dataloader=None"]
    settings += ["val_cfg=None", "val_evaluator=None", "default_hooks.checkpoint.save_best=None"]
    subprocess.run(
        ["bash", ROOT / "tools/slurm_train.sh", "gpu", "my_job", TINY]
        + ["--work-dir", tmp_path / "run", "--cfg-options", *settings],
        env={
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": python_path(),
            "PYTHON": sys.executable,
            "GPUS_PER_NODE": "2",
            "PORT": str(free_port()),
        },
        cwd=tmp_path,
        check=True,
        timeout=200,
    )
    arguments = (tmp_path / "srun_arguments").read_text().splitlines()
    assert "--signal=TERM@120" in arguments
    assert {"--partition=gpu", "--job-name=my_job", "--nodes=1", "--gres=gpu:2"} <= set(arguments)
    assert len(losses(tmp_path / "run")) == 1
