"""The Python that README.md and the pages without a test of their own show, run as it stands."""

from pathlib import Path

import pytest
import torch
from support.pages import Block, blocks
from support.tools import ROOT

PAGES = [ROOT / "README.md", *(ROOT / f"docs/{n}.md" for n in ("first_result", "checkpoints"))]
SNIPPETS = [block for page in PAGES for block in blocks(page) if block.language == "python"]
CONFIGS = [block.text for block in blocks(ROOT / "docs/train.md") if block.language == "python"]


@pytest.mark.parametrize("block", SNIPPETS, ids=str)
def test_snippet(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(
        dict(state_dict={"backbone.blocks.0.attn.lf_gamma": torch.ones(1)}), "fdam_deit3_b.pth"
    )
    exec(block.text, {})


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
