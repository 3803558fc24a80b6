"""Reading checkpoint files: what is refused, and with which words."""

import os
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from fdam_mm.checkpoints import load
from fdam_mm.errors import CheckpointError, UnsafeCheckpointError


class Payload:
    """Unpickling this would run a command."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.marker}",)


def test_released_layout(tmp_path: Path) -> None:
    meta = dict(
        mmseg_version="0.30.0",
        CLASSES=("wall", "building"),
        PALETTE=[[1, 2, 3]],
        iter=160000,
        seed=None,
        hook_msgs=dict(best_score=52.6),
    )
    checkpoint = dict(meta=meta, state_dict=OrderedDict(a=torch.ones(2)), optimizer={})
    torch.save(checkpoint, tmp_path / "released.pth")
    assert load(tmp_path / "released.pth")["meta"] == meta


def test_legacy_format_and_safetensors(tmp_path: Path) -> None:
    state = dict(a=torch.arange(3.0))
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "new.safetensors")
    for name in ("old.pth", "new.safetensors"):
        assert torch.equal(load(tmp_path / name)["a"], state["a"])


def test_training_state_of_mmengine(tmp_path: Path) -> None:
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    torch.save(dict(message_hub=dict(log_scalars=dict(loss=history))), tmp_path / "iter.pth")
    assert load(tmp_path / "iter.pth")["message_hub"]["log_scalars"]["loss"].mean() == 1.5


def test_arguments_of_a_training_script(tmp_path: Path) -> None:
    torch.save(dict(state_dict={}, args=Namespace(lr=0.1)), tmp_path / "timm.pth.tar")
    assert load(tmp_path / "timm.pth.tar")["args"].lr == 0.1


def test_unpickling_is_refused(tmp_path: Path) -> None:
    file, marker = tmp_path / "evil.pth", tmp_path / "ran"
    torch.save(dict(state_dict={}, meta=Payload(marker)), file)
    with pytest.raises(UnsafeCheckpointError, match=r"evil.pth .*system.*--allow-pickle"):
        load(file)
    assert not marker.exists()
    load(file, allow_pickle=True)
    assert marker.exists()


def test_getattr_serves_history_alone(tmp_path: Path) -> None:
    class Reach:
        def __reduce__(self) -> tuple:
            return getattr, (HistoryBuffer, "__init__")

    torch.save(dict(meta=Reach()), tmp_path / "evil.pth")
    with pytest.raises(UnsafeCheckpointError, match="allow-pickle"):
        load(tmp_path / "evil.pth")


def test_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "iter_100.pth")
    with pytest.raises(FileNotFoundError, match="iter_10.pth does not exist; .* iter_100.pth"):
        load(tmp_path / "iter_10.pth")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_files(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"weights.{suffix}"
    state = dict(a=torch.randn(1000))
    save_file(state, file) if suffix == "safetensors" else torch.save(state, file)
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"<html>not found</html>"):
        file.write_bytes(damaged)
        with pytest.raises(
            CheckpointError, match=f"weights.{suffix} .* is not a complete"
        ) as info:
            load(file)
        assert not isinstance(info.value, UnsafeCheckpointError)


@pytest.mark.parametrize("text", ["", '{"a": 1}', "<html>"])
def test_other_files(tmp_path: Path, text: str) -> None:
    """The words are ours: torch's would advise to unpickle them."""
    file = tmp_path / "a.pth"
    file.write_text(text)
    reason = "torch.save wrote no such file" if text else "it ends too early"
    with pytest.raises(CheckpointError, match=f"not a complete checkpoint: {reason}. It is"):
        load(file)


def test_not_a_dict(tmp_path: Path) -> None:
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="holds a list, expected a dict"):
        load(tmp_path / "list.pth")
