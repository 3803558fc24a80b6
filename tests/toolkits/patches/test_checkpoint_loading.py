"""The toolkits' own loading inside our runs and calls, each with its own choice."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from mmengine.runner import CheckpointLoader
from mmseg.models import ResNet
from support.training import ToyModel, toy
from torch import nn

from fdam_mm.checkpoints import load, load_pretrained
from fdam_mm.checkpoints.loading import allowing_pickle, pickle_choice
from fdam_mm.errors import CheckpointError, UnsafeCheckpointError


@pytest.fixture
def pickled(tmp_path: Path) -> str:
    torch.save(dict(meta=Path("x")), tmp_path / "pickled.pth")
    return str(tmp_path / "pickled.pth")


def test_upstream_unpickles(pickled: str) -> None:
    """Outside of our runs mmengine is what it was; once it refuses, this patch can go."""
    assert "meta" in CheckpointLoader.load_checkpoint(pickled)


def test_toolkit_loading_refuses_pickles(tmp_path: Path, pickled: str) -> None:
    torch.save(dict(weight=torch.ones(2)), tmp_path / "good.pth")
    with allowing_pickle(False):
        good = CheckpointLoader.load_checkpoint(str(tmp_path / "good.pth"))
        assert torch.equal(good["weight"], torch.ones(2))
        with pytest.raises(UnsafeCheckpointError, match="allow-pickle"):
            CheckpointLoader.load_checkpoint(pickled)
    with allowing_pickle(True):
        assert "meta" in CheckpointLoader.load_checkpoint(pickled)


def test_threads_choose_for_themselves(pickled: str) -> None:
    both = Barrier(2, timeout=60)

    def read(allow: bool) -> list[bool]:
        """Whether each of the two ways reads the file, while the other thread is inside, too."""
        with allowing_pickle(allow):
            both.wait()
            done = [_reads(CheckpointLoader.load_checkpoint, pickled), _reads(load, pickled)]
            both.wait()
        return done

    with ThreadPoolExecutor(2) as threads:
        trusting, careful = threads.map(read, [True, False])
    assert trusting == [True, True] and careful == [False, False]
    assert not _reads(load, pickled)


def _reads(reader: Callable[[str], Any], file: str) -> bool:
    try:
        return "meta" in reader(file)
    except UnsafeCheckpointError:
        return False


def test_runs_choose_for_themselves(tmp_path: Path) -> None:
    """One after the other in a process, through a backbone's ``init_cfg``."""
    start = tmp_path / "start.pth"
    torch.save(dict(state_dict=ToyModel().state_dict(), meta=Path("x")), start)
    init_cfg = dict(type="Pretrained", checkpoint=str(start))
    for number, allow in enumerate((True, False, True)):
        runner = toy(tmp_path / str(number), iterations=1, allow_pickle=allow)
        runner.model.init_cfg = init_cfg
        if allow:
            runner.train()
        else:
            with pytest.raises(UnsafeCheckpointError):
                runner.train()
    assert pickle_choice() is None


@pytest.mark.parametrize("backbone", ["toolkit", "ours"])
def test_the_flag_reaches_every_backbone(tmp_path: Path, backbone: str) -> None:
    """mmseg's ResNet, whose ``init_cfg`` has no ``allow_pickle``, and ours."""
    small = dict(depth=18, base_channels=4, stem_channels=4, num_stages=1, strides=(1,))
    if backbone == "toolkit":
        model = ResNet(**small, dilations=(1,), out_indices=(0,))
        model.init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "start.pth"))
        start = model.init_weights
    else:
        model = nn.Linear(2, 2)
        start = partial(load_pretrained, model, tmp_path / "start.pth")
    ones = {k: torch.ones_like(v) for k, v in model.state_dict().items()}
    torch.save(dict(state_dict=ones, meta=Path("x")), tmp_path / "start.pth")
    with allowing_pickle(False), pytest.raises(UnsafeCheckpointError, match="allow-pickle"):
        start()
    with allowing_pickle(True):
        start()
    assert all((v == 1).all() for v in model.state_dict().values())


def test_names_of_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read from torch's cache, under torch's own file names, and never unpickled."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    file = tmp_path / "checkpoints/resnet50-0676ba61.pth"
    file.parent.mkdir()
    with allowing_pickle(False):
        torch.save(dict(weight=torch.ones(2)), file)
        assert "weight" in CheckpointLoader.load_checkpoint("torchvision://resnet50")
        torch.save(dict(meta=Path("x")), file)
        with pytest.raises(UnsafeCheckpointError, match="resnet50-0676ba61.pth"):
            CheckpointLoader.load_checkpoint("torchvision://resnet50")
        with pytest.raises(CheckpointError, match="no such model; near: resnet50"):
            CheckpointLoader.load_checkpoint("torchvision://resnet_50")


@pytest.mark.parametrize("name", ["open-mmlab://resnet50", "mmcls://vgg11", "s3://bucket/a.pth"])
def test_sources_that_would_be_unpickled(name: str) -> None:
    with (
        allowing_pickle(False),
        pytest.raises(UnsafeCheckpointError, match="give its path, or allow it"),
    ):
        CheckpointLoader.load_checkpoint(name)
