"""The toolkits' own loading, as the tools set it up."""

from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader

from fdam_mm.checkpoints import CheckpointError, UnsafeCheckpointError
from fdam_mm.engine.safe_loading import load_toolkit_checkpoints_safely


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CheckpointLoader, "_schemes", CheckpointLoader._schemes.copy())


def test_toolkit_loading_refuses_pickles(tmp_path: Path) -> None:
    torch.save(dict(weight=torch.ones(2)), tmp_path / "good.pth")
    torch.save(dict(meta=Path("x")), tmp_path / "pickled.pth")
    load_toolkit_checkpoints_safely()
    good = CheckpointLoader.load_checkpoint(str(tmp_path / "good.pth"))
    assert torch.equal(good["weight"], torch.ones(2))
    with pytest.raises(UnsafeCheckpointError, match="allow-pickle"):
        CheckpointLoader.load_checkpoint(str(tmp_path / "pickled.pth"))
    load_toolkit_checkpoints_safely(allow_pickle=True)
    assert "meta" in CheckpointLoader.load_checkpoint(str(tmp_path / "pickled.pth"))


def test_names_of_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read from torch's cache, under torch's own file names, and never unpickled."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    file = tmp_path / "checkpoints/resnet50-0676ba61.pth"
    file.parent.mkdir()
    load_toolkit_checkpoints_safely()
    torch.save(dict(weight=torch.ones(2)), file)
    assert "weight" in CheckpointLoader.load_checkpoint("torchvision://resnet50")
    torch.save(dict(meta=Path("x")), file)
    with pytest.raises(UnsafeCheckpointError, match="resnet50-0676ba61.pth"):
        CheckpointLoader.load_checkpoint("torchvision://resnet50")
    with pytest.raises(CheckpointError, match="no such model; near: resnet50"):
        CheckpointLoader.load_checkpoint("torchvision://resnet_50")


@pytest.mark.parametrize("name", ["open-mmlab://resnet50", "mmcls://vgg11", "s3://bucket/a.pth"])
def test_sources_that_would_be_unpickled(name: str) -> None:
    load_toolkit_checkpoints_safely()
    with pytest.raises(UnsafeCheckpointError, match="give its path, or allow it"):
        CheckpointLoader.load_checkpoint(name)
