"""The toolkits' own loading, as the tools set it up."""

from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader
from mmseg.models import ResNet
from torch import nn

from fdam_mm.checkpoints import load_pretrained, loading
from fdam_mm.errors import CheckpointError, UnsafeCheckpointError
from fdam_mm.toolkits.safe_loading import load_toolkit_checkpoints_safely


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CheckpointLoader, "_schemes", CheckpointLoader._schemes.copy())
    monkeypatch.setattr(loading, "_process_allows_pickle", False)


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
    load_toolkit_checkpoints_safely()
    with pytest.raises(UnsafeCheckpointError, match="allow-pickle"):
        start()
    load_toolkit_checkpoints_safely(allow_pickle=True)
    start()
    assert all((v == 1).all() for v in model.state_dict().values())


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
