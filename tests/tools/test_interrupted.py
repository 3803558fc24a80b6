"""Trainings that are killed, and others that come meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.paths import python_path
from support.tools import ROOT, TINY, fail

from fdam_mm.data.demo.demo_set import write_demo_set
from fdam_mm.training.sole_training import sole_training

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def children(pid: int) -> set[int]:
    """Process numbers of all descendants."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(stat.parent.name)] = int(fields[1])
    found: set[int] = set()
    while more := {p for p, of in parents.items() if of in {pid, *found}} - found:
        found |= more
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.1)


def test_a_killed_launcher_takes_all_its_processes_along(tmp_path: Path) -> None:
    write_demo_set(tmp_path / "data", num_train=8, num_val=4, size=64)
    run = tmp_path / "run"
    options = (
        f"data_root={tmp_path}/data",
        "train_cfg.max_iters=10000",
        "train_dataloader.num_workers=1",
        "default_hooks.checkpoint.interval=2",
    )
    settings = ["--work-dir", run, "--cfg-options", *options]
    launcher = subprocess.Popen(
        list(map(str, ["bash", ROOT / "tools/dist_train.sh", TINY, 2, *settings])),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": python_path(), "PYTHON": sys.executable},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    processes: set[int] = set()
    try:
        wait_for(lambda: launcher.poll() is None and (run / "iter_4.pth").exists(), 300)
        processes = children(launcher.pid)
        assert len(processes) >= 4  # two trainings and their dataloaders' workers
        error = fail("train.py", TINY, "--resume", *settings, cwd=tmp_path)
        assert len(error.splitlines()) == 1 and f"{run} is in use: process " in error
        os.kill(launcher.pid, signal.SIGKILL)
        launcher.wait()
        wait_for(lambda: not any(map(alive, processes)), 30)
    finally:
        launcher.kill()
        for pid in filter(alive, processes):
            os.kill(pid, signal.SIGKILL)
    with sole_training(run):
        assert not list(run.glob(".*.tmp"))
