"""A small segmentor on every family of backbones exports, of one size, and is the model."""

from pathlib import Path

import pytest
import torch
from support.staged_families import FAMILIES
from support.tools import ROOT
from torch import nn

from fdam_mm.apis import load_model
from fdam_mm.export.exporting import export
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.training.config import read_config

CASES = {
    **{name: (kind.__name__, settings) for name, (kind, settings) in FAMILIES.items()},
    "lsknet": ("LSKNet", dict(embed_dims=(16, 32, 32, 48), depths=(1, 1, 1, 1))),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_family_exports(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    kind, settings = CASES[name]
    config = read_config(str(ROOT / "configs/demo/segformer_demo.py"), {})
    fdam = dict(att_inv=True, freq_scale=True)
    config.model.backbone = dict(type=kind, fdam=fdam, **settings)
    config.model.decode_head.in_channels = list(settings["embed_dims"])
    config.model.decode_head.channels = 16
    torch.manual_seed(0)
    model = load_model(config, device="cpu")
    for module in model.modules():
        if isinstance(module, AttInv | FreqScale):
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=0.3)
    about = export(model, tmp_path / "model.onnx", [(64, 96)], raw=True)
    assert about.check is not None and about.check["graphs"][0]["drawn"]


@pytest.mark.slow
def test_eomt_exports(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    model = load_model("tests/support/tiny_eomt.py", device="cpu")
    about = export(model, tmp_path / "model.onnx", [(64, 96)])
    assert about.classes and about.check is not None
