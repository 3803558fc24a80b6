"""A config that inherits one of ours by the package's name."""

from pathlib import Path

import pytest
from mmengine.config import Config
from support.tools import ROOT

from fdam_mm.apis.building import build_model
from fdam_mm.training.config import read_config

NAMES = ["fdam-vit_demo", "fdam-mask-dino_demo", "fdam-oriented-rcnn_lsknet_demo"]


@pytest.mark.parametrize("name", NAMES)
def test_is_as_if_it_lay_beside(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"_base_ = 'fdam_mm::demo/{name}.py'\n")
    mine = read_config(str(tmp_path / "mine.py"), {})
    assert mine.to_dict() == read_config(str(ROOT / f"configs/demo/{name}.py"), {}).to_dict()
    assert sum(p.numel() for p in build_model(mine).parameters()) > 0


def test_mmengine_would_look_for_a_scope_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails where mmengine no longer does: then our patch can go."""
    (tmp_path / "mine.py").write_text("_base_ = 'fdam_mm::demo/vit_demo.py'\n")
    theirs = Config._get_cfg_path.__wrapped__
    monkeypatch.setattr(Config, "_get_cfg_path", staticmethod(theirs))
    assert Config.fromfile(tmp_path / "mine.py").model["_scope_"] == "fdam_mm"
