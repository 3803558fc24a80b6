"""The Python that README.md shows, run as it stands."""

import re
from pathlib import Path

import pytest
import torch
from support.tools import ROOT

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
SNIPPETS = [block for block in BLOCKS if "import" in block.splitlines()[0]]
CONFIGS = [block for block in BLOCKS if block.startswith("_base_")]


@pytest.mark.parametrize("code", SNIPPETS, ids=lambda code: code.splitlines()[0])
def test_snippet(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(
        dict(state_dict={"backbone.blocks.0.attn.lf_gamma": torch.ones(1)}), "fdam_deit3_b.pth"
    )
    exec(code, {})


def test_extended_config(tmp_path: Path) -> None:
    from mmengine.config import Config

    import fdam_mm.openmmlab  # noqa: F401  finds mmseg's configs

    plain = (ROOT / "configs/demo/vit_demo.py").read_text()
    plain = plain.replace("../_base_", str(ROOT / "configs/_base_"))
    (tmp_path / "my_plain_config.py").write_text(plain)
    (code,) = CONFIGS
    (tmp_path / "mine.py").write_text(code)
    config = Config.fromfile(tmp_path / "mine.py")
    assert config.model.backbone.fdam == dict(att_inv=True, freq_scale=True)
    assert config.optim_wrapper.paramwise_cfg.freq_scale_lr_mult == 10
