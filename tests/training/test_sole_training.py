"""One training at a time in a folder."""

import errno
import fcntl
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from support.tools import ROOT
from support.toy import toy_runner
from support.training import wait_for
from support.warm import Script

from fdam_mm.errors import InUseError
from fdam_mm.training.sole_training import sole_training

HOLDER = ROOT / "tests/support/hold_folder.py"


@pytest.fixture
def holder(tmp_path: Path) -> Script:
    """Another process that trains in the folder, with a child as dataloaders have."""
    process = Script(HOLDER, tmp_path, cwd=tmp_path)
    wait_for(lambda: process.written(1).endswith("\n"))
    process.child = int(process.written(1))
    yield process
    process.kill()
    process.wait()
    os.kill(process.child, 9)


def test_another_training_is_refused_until_the_first_dies(holder: Script, tmp_path: Path) -> None:
    with pytest.raises(InUseError, match=f"{tmp_path} is in use: process {holder.pid} on "):
        toy_runner(tmp_path, 1).train()
    with sole_training(tmp_path / "other"):
        pass
    holder.kill()
    holder.wait()
    with sole_training(tmp_path):  # though the child lives on
        os.kill(holder.child, 0)


def test_waits_for_a_killed_training_to_be_gone(holder: Script, tmp_path: Path) -> None:
    threading.Timer(0.5, holder.kill).start()
    with sole_training(tmp_path):
        assert holder.wait(timeout=5) == -signal.SIGKILL


def test_is_free_again_at_the_end_and_nests(tmp_path: Path) -> None:
    for _ in range(2):
        with sole_training(tmp_path), sole_training(str(tmp_path)):
            other = Script(HOLDER, tmp_path, cwd=tmp_path)
            assert "InUseError" in other.communicate()[1] and other.returncode == 1
    with pytest.raises(ZeroDivisionError), sole_training(tmp_path):
        raise ZeroDivisionError
    with sole_training(tmp_path):
        pass


def test_goes_without_where_files_cannot_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / ".iter_1.pth.abcd1234.tmp").touch()
    with sole_training(tmp_path):
        assert (tmp_path / ".iter_1.pth.abcd1234.tmp").exists()  # it may be another's


def test_sweeps_what_killed_trainings_left(tmp_path: Path) -> None:
    left = [".iter_3.pth.ab_d12x4", ".iter_3.pth.ab_d12x4.tmp", ".last_checkpoint.q1w2e3r4.tmp"]
    kept = [
        "iter_3.pth",
        ".iter_3.pth",
        ".iter_3.pth.Xy12zT",  # rsync's
        ".notes.tmp",
        "x.iter_3.pth.ab_d12x4.tmp",
        ".notes.txt.swp",
    ]
    for name in (*left, *kept):
        (tmp_path / name).touch()
    (tmp_path / ".iter_4.pth.abcd1234.tmp").mkdir()
    (tmp_path / ".iter_5.pth.abcd1234.tmp").symlink_to(tmp_path / "iter_3.pth")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/.iter_3.pth.abcd1234.tmp").touch()
    with (tmp_path / ".boxes.json.abcd1234.tmp").open("wb") as file:  # a test's, at work
        writer = subprocess.Popen(["sleep", "60"], stdout=file)  # noqa: S607
        fcntl.flock(file, fcntl.LOCK_EX)
    try:
        with sole_training(tmp_path):
            pass
    finally:
        writer.kill()
        writer.wait()
    names = {entry.name for entry in tmp_path.iterdir()}
    assert not names & set(left) and set(kept) < names
    assert {".iter_4.pth.abcd1234.tmp", ".iter_5.pth.abcd1234.tmp"} < names
    assert ".boxes.json.abcd1234.tmp" in names
    assert (tmp_path / "sub/.iter_3.pth.abcd1234.tmp").exists()
