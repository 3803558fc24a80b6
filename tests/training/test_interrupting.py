"""Signals end a training with a checkpoint, and the resumed one is the uninterrupted one."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from support.training import (
    EMA,
    EPOCHS,
    VALIDATION,
    ToyProcess,
    assert_same,
    losses,
    state,
    toy,
    wait_for,
)
from torch import nn

from fdam_mm.errors import TrainingInterrupted
from fdam_mm.training.interrupting import Signals

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
    slow = dict(SETTINGS, model__delay=0.1, train_dataloader__num_workers=1)
    process = ToyProcess(tmp_path, processes=2, torchrun=True, **slow)
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


def interrupted(work_dir: Path, at: int, training: bool = True, **settings: Any) -> str:
    """A training that has SIGTERM in its ``at``-th batch, and is resumed; what it said."""
    runner = toy(work_dir, **settings)
    calls = []

    def send(model: nn.Module, _: Any) -> None:
        calls.extend([0] if model.training == training else [])
        if len(calls) == at:
            signal.raise_signal(signal.SIGTERM)

    runner.model.register_forward_pre_hook(send)
    with pytest.raises(TrainingInterrupted) as error:
        runner.train()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    toy(work_dir, resume=True, **settings).train()
    return str(error.value)


def assert_resumed(work_dir: Path, whole: Path) -> None:
    last = max(losses(whole))
    assert losses(work_dir) == losses(whole)
    assert_same(state(work_dir / f"iter_{last}.pth"), state(whole / f"iter_{last}.pth"))


def test_the_resumed_training_is_the_uninterrupted_one(tmp_path: Path) -> None:
    toy(tmp_path / "whole", **EMA).train()
    said = interrupted(tmp_path / "a", 3, **EMA)
    assert f"after iteration 3, saved in {tmp_path}/a/iter_3.pth" in said
    assert_resumed(tmp_path / "a", tmp_path / "whole")
    assert "after iteration 2, saved" in interrupted(tmp_path / "b", 2, **EMA)  # a save was due
    assert_resumed(tmp_path / "b", tmp_path / "whole")


def test_a_validation_is_left_and_made_up_for(tmp_path: Path) -> None:
    """While it runs, the averaged weights are in the model's place."""
    settings = dict(EMA, **VALIDATION, default_hooks__checkpoint__interval=3)
    toy(tmp_path / "whole", **settings).train()
    said = interrupted(tmp_path / "left", 2, training=False, **settings)
    assert "after iteration 2, saved in" in said
    assert_resumed(tmp_path / "left", tmp_path / "whole")
    logs = [file.read_text() for file in (tmp_path / "left").glob("*/vis_data/scalars.json")]
    assert sum(text.count('"score"') for text in logs) == 3


def test_in_an_epoch(tmp_path: Path) -> None:
    settings = dict(EMA, **EPOCHS, default_hooks__checkpoint__by_epoch=True)
    toy(tmp_path / "whole", **settings).train()
    assert "iter_8.pth" in interrupted(tmp_path / "left", 8, **settings)
    assert losses(tmp_path / "left") == losses(tmp_path / "whole")
    last = [state(tmp_path / name / "epoch_3.pth") for name in ("left", "whole")]
    assert_same(*last)


def test_accumulated_gradients_become_a_step_first(tmp_path: Path) -> None:
    settings = dict(EMA, optim_wrapper__accumulative_counts=2)
    toy(tmp_path / "whole", **settings).train()
    assert "after iteration 4" in interrupted(tmp_path / "left", 3, **settings)
    assert_resumed(tmp_path / "left", tmp_path / "whole")


def test_before_the_first_iteration(tmp_path: Path) -> None:
    runner = toy(tmp_path)
    runner.signals.received = signal.SIGINT
    with pytest.raises(TrainingInterrupted, match="before its first iteration") as error:
        runner.train()
    assert error.value.exit_code == 130


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup and shells do
    try:
        with Signals() as signals:
            signal.raise_signal(signal.SIGINT)
        assert not signals.received
    finally:
        signal.signal(signal.SIGINT, before)
