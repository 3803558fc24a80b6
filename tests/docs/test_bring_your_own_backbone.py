"""What docs/bring_your_own_backbone.md and docs/backbones.md show, run."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from mmengine.registry import MODELS, init_default_scope
from support.tools import ROOT

import fdam_mm
from fdam_mm import apply_fdam
from fdam_mm.toolkits.registration import register_toolkit
from fdam_mm.training.config import read_config


def _blocks(page: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text()
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_the_config_trains(tmp_path: Path) -> None:
    (tmp_path / "_base_").symlink_to(ROOT / "configs/_base_")
    (tmp_path / "my_model.py").write_text(_blocks("bring_your_own_backbone.md")[0])
    model = read_config(str(tmp_path / "my_model.py"), {}).model
    init_default_scope("mmseg")
    register_toolkit("mmseg")
    for head in (model.decode_head, model.auxiliary_head):
        head.update(channels=16, norm_cfg=dict(type="BN"))
    segmentor = MODELS.build(model).train()
    assert segmentor.backbone.report.count("FreqScale") == 16
    features = segmentor.extract_feat(torch.randn(2, 3, 64, 64))
    segmentor.decode_head(features).sum().backward()
    assert segmentor.backbone.timm_model.stages_0.blocks[0].freq_scale_1.bases.grad is not None


def test_the_model_of_timm(capsys: pytest.CaptureFixture) -> None:
    exec(_blocks("bring_your_own_backbone.md")[1], {})
    printed = capsys.readouterr().out
    assert printed.startswith("[32, 64, 160, 256] [4, 8, 16, 32]")
    assert "8 AttInv and 16 FreqScale" in printed


def test_the_model_of_ones_own() -> None:
    shown = {"__name__": "docs"}
    exec(_blocks("bring_your_own_backbone.md")[2], shown)
    assert (shown["report"].count("AttInv"), shown["report"].count("FreqScale")) == (2, 2)
    exec(_blocks("bring_your_own_backbone.md")[3], shown)
    assert shown["outer"].att_inv.num_heads == 4


def test_the_first_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    shown: dict[str, Any] = {}
    exec(_blocks("backbones.md")[0], shown)
    assert "12 AttInv and 24 FreqScale, 696,156 parameters added" in capsys.readouterr().out
    exec(_blocks("backbones.md")[1], shown)
    assert shown["counts"] == (696_156, 28_288_354)
    assert not any("att_inv" in key for key in shown["model"].state_dict())


def _block_under(heading: str) -> str:
    text = (ROOT / "docs/backbones.md").read_text()
    return text.split(f"\n## {heading}")[1].split("```python\n")[1].split("```")[0]


def _names() -> dict[str, Any]:
    return {name: getattr(fdam_mm, name) for name in fdam_mm.__all__} | dict(torch=torch)


def test_any_backbone_in_a_config(tmp_path: Path) -> None:
    (tmp_path / "twin.py").write_text(_block_under("In a config"))
    model = read_config(str(tmp_path / "twin.py"), {}).model
    init_default_scope("mmseg")
    register_toolkit("mmseg")
    backbone = MODELS.build(model.backbone)
    assert type(backbone).__name__ == "MixVisionTransformer"
    assert len(list(fdam_mm.fdam_parameters(backbone))) == 8 * 8 + 16 * 5


@pytest.mark.filterwarnings("ignore")
def test_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers", minversion="5.0")
    monkeypatch.chdir(tmp_path)
    exec(_block_under("transformers"), _names())


def test_segmentation_models_pytorch() -> None:
    pytest.importorskip("segmentation_models_pytorch")
    shown = _names()
    exec(_block_under("segmentation_models_pytorch"), shown)
    assert (shown["report"].count("AttInv"), shown["report"].count("FreqScale")) == (8, 16)
    assert shown["masks"].shape == (1, 3, 64, 96)


def test_the_tables_are_those_of_the_adapters() -> None:
    sys.path.append(str(ROOT / "benchmarks"))
    try:
        from adapters import PAGE, RECORD, page
    finally:
        sys.path.pop()
    text = PAGE.read_text()
    assert text == page(text, json.loads(RECORD.read_text())), (
        "the adapters or the record changed: python benchmarks/adapters.py --table"
    )


@pytest.mark.parametrize("name", ["xcit_nano_12_p16_224", "cait_xxs24_224"])
def test_what_the_table_calls_out(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be served"):
        apply_fdam(timm.create_model(name))
