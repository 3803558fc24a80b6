"""The toolkits' own loading, as the tools set it up."""

from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader

from fdam_mm.checkpoints import UnsafeCheckpointError
from fdam_mm.engine.safe_loading import load_toolkit_checkpoints_safely


def test_toolkit_loading_refuses_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CheckpointLoader, "_schemes", CheckpointLoader._schemes.copy())
    torch.save(dict(weight=torch.ones(2)), tmp_path / "good.pth")
    torch.save(dict(meta=Path("x")), tmp_path / "pickled.pth")
    load_toolkit_checkpoints_safely()
    good = CheckpointLoader.load_checkpoint(str(tmp_path / "good.pth"))
    assert torch.equal(good["weight"], torch.ones(2))
    with pytest.raises(UnsafeCheckpointError, match="allow-pickle"):
        CheckpointLoader.load_checkpoint(str(tmp_path / "pickled.pth"))
    load_toolkit_checkpoints_safely(allow_pickle=True)
    assert "meta" in CheckpointLoader.load_checkpoint(str(tmp_path / "pickled.pth"))
