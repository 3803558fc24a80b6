"""Signals end a training with a checkpoint, and the resumed one is the uninterrupted one."""

import os
import signal
import time
from pathlib import Path

import pytest
from support.training import ToyProcess, wait_for

SETTINGS = dict(
    iterations=60,
    default_hooks__checkpoint__interval=50,
    custom_hooks=[dict(type="EMAHook", momentum=0.1)],
)


def interrupt(process: ToyProcess, work_dir: Path, number: int, group: bool = False) -> None:
    """Send a signal some iterations after the start."""
    wait_for(lambda: any(file.stat().st_size for file in work_dir.glob("*/vis_data/scalars.json")))
    (os.killpg if group else os.kill)(process.process.pid, number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_one_process(tmp_path: Path, number: int) -> None:
    """The signal reaches the dataloader's workers as well, as Ctrl-C and Slurm's do."""
    slow = dict(SETTINGS, model__delay=0.1, train_dataloader__num_workers=2)
    process = ToyProcess(tmp_path, **slow)
    interrupt(process, tmp_path, number, group=True)
    since = time.monotonic()
    code, out, err = process.end()
    assert code == 128 + number, err
    assert time.monotonic() - since < 30
    file = next(tmp_path.glob("iter_*.pth"))
    assert "Traceback" not in out + err
    assert err.splitlines()[-1] == (
        f"toy_train.py: stopped by {signal.Signals(number).name} after iteration {file.stem[5:]}, "
        f"saved in {file}; go on with the same command and --resume"
    )


@pytest.mark.parametrize("group", [False, True])
def test_two_processes_end_together(tmp_path: Path, group: bool) -> None:
    """Torchrun passes on what its processes may have had already: that is no second signal."""
    slow = dict(SETTINGS, model__delay=0.1, processes=2, train_dataloader__num_workers=1)
    process = ToyProcess(tmp_path, **slow)
    number = signal.SIGINT if group else signal.SIGTERM
    interrupt(process, tmp_path, number, group)
    code, out, err = process.end()
    assert code == 128 + number, err
    assert "Traceback" not in out + err
    assert err.count("go on with the same command and --resume") == 1
    assert len(list(tmp_path.glob("iter_*.pth"))) == 1


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    slow = dict(SETTINGS, model__delay=5.0, train_dataloader__num_workers=1)
    process = ToyProcess(tmp_path, **slow)
    interrupt(process, tmp_path, signal.SIGTERM)
    time.sleep(0.5)
    os.kill(process.process.pid, signal.SIGTERM)
    since = time.monotonic()
    code, out, err = process.end()
    assert code == 128 + signal.SIGTERM and "Traceback" not in out + err
    assert time.monotonic() - since < 4 and not list(tmp_path.glob("*.pth"))
