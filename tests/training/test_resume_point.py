"""Finding the checkpoint to go on with."""

import shutil
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from support.toy import toy_runner

from fdam_mm.checkpoints import load
from fdam_mm.errors import CheckpointError
from fdam_mm.training.resume_point import newest_checkpoint


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    toy_runner(folder, 11, interval=3, hook=dict(save_last=False)).train()  # iter_3, 6, 9
    shutil.copy(folder / "iter_9.pth", folder / "iter_12.pth")
    (folder / "last_checkpoint").write_text("iter_12.pth")
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


def find(folder: Path) -> tuple[str | None, str]:
    said: list[str] = []
    found = newest_checkpoint(folder, folder, said.append)
    assert found is None or found.parent == folder
    return found and found.name, "\n".join(said)


def test_takes_the_named_one_without_a_word(run: Path) -> None:
    assert find(run) == ("iter_12.pth", "")
    (run / "last_checkpoint").write_text("iter_6.pth")
    assert find(run) == ("iter_6.pth", "")
    (run / "last_checkpoint").write_text(f"{run}/iter_6.pth\n")  # as mmengine writes it
    assert find(run) == ("iter_6.pth", "")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "last_checkpoint is empty"),
        (b" \n", "last_checkpoint is empty"),
        (b"\0\1\2", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"x" * 10**6, "passed over"),
        (b"iter_99.pth", "iter_99.pth is passed over: it does not exist"),
        (b"/elsewhere/iter_99.pth", "of another folder"),
        (b"../../etc/passwd", "of another folder"),
    ],
)
def test_a_bad_pointer_is_said_and_the_newest_taken(run: Path, content: bytes, word: str) -> None:
    (run / "last_checkpoint").write_bytes(content)
    found, said = find(run)
    assert found == "iter_12.pth"  # by number, not by name
    assert word in said and "iter_12.pth, the newest" in said


def test_a_missing_pointer(run: Path) -> None:
    (run / "last_checkpoint").unlink()
    assert find(run)[0] == "iter_12.pth" and "is missing" in find(run)[1]
    (run / "last_checkpoint").mkdir()
    assert find(run)[0] == "iter_12.pth" and "cannot be read" in find(run)[1]


def test_damaged_checkpoints_are_passed_over(run: Path) -> None:
    data = (run / "iter_12.pth").read_bytes()
    (run / "iter_12.pth").write_bytes(data[: len(data) // 2])
    flip_a_bit(run / "iter_9.pth")
    found, said = find(run)
    assert found == "iter_6.pth"
    assert "iter_12.pth is passed over: it is truncated" in said
    assert "iter_9.pth is passed over: it is damaged" in said


def flip_a_bit(file: Path) -> None:
    """Inside of a tensor, so that all the structure is well."""
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        tensor = next(member for member in archive.infolist() if "/data/" in member.filename)
    start = tensor.header_offset
    name, extra = struct.unpack("<HH", content[start + 26 : start + 30])
    content[start + 30 + name + extra] ^= 1
    file.write_bytes(content)


def test_nothing_whole_is_an_error_and_nothing_at_all_a_start(run: Path, tmp_path: Path) -> None:
    for file in run.glob("*.pth"):
        file.write_bytes(b"")
    with pytest.raises(CheckpointError, match="holds no checkpoint that can be resumed: iter_12"):
        find(run)
    assert find(tmp_path) == (None, "")
    (tmp_path / "last_checkpoint").touch()
    assert find(tmp_path)[0] is None


def test_copied_and_moved_runs_go_on_with_their_own(trained: Path, run: Path) -> None:
    (run / "last_checkpoint").write_text(str(trained / "iter_6.pth"))
    runner = toy_runner(run, 7, hook=dict(save_last=False), interval=3, resume=True)
    runner.train()
    assert runner.iter == 7 and runner._load_from == str(run / "iter_6.pth")


def test_epochs_and_own_names(tmp_path: Path) -> None:
    for name in ("epoch_2.pth", "epoch_10.pth", "iter_500.pth", "ck-7.pth"):
        torch.save({}, tmp_path / name)
    for template, newest in (
        ("epoch_{}.pth", "epoch_10.pth"),
        ("iter_{}.pth", "iter_500.pth"),
        ("ck-{}.pth", "ck-7.pth"),
    ):
        found = newest_checkpoint(tmp_path, tmp_path, [].append, template)
        assert found == tmp_path / newest


def test_auto_starts_from_load_from_where_there_is_nothing(trained: Path, tmp_path: Path) -> None:
    start = dict(resume="auto", load_from=str(trained / "iter_9.pth"))
    runner = toy_runner(tmp_path / "run", 3, interval=3, **start)
    runner.train()
    assert runner.iter == 3  # not 9: its weights alone
    weights = [
        load(f)["state_dict"]["weight"]
        for f in (trained / "iter_3.pth", tmp_path / "run/iter_3.pth")
    ]
    assert weights[1] > weights[0]
    again = toy_runner(tmp_path / "run", 6, interval=3, **start)
    again.load_or_resume()
    assert again._load_from == str(tmp_path / "run/iter_3.pth")
