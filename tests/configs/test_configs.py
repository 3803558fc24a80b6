"""Every config builds, and twins differ in FDAM and its learning-rate multipliers alone."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from support.tools import ROOT

from fdam_mm.data.scenes import CLASSES, PALETTE
from fdam_mm.engine.launch import register_toolkit
from fdam_mm.layers import AttInv, FreqScale

CONFIGS = ROOT / "configs"
ALL = sorted(p for p in CONFIGS.rglob("*.py") if "_base_" not in p.parts)
TWINS = [p for p in ALL if p.with_name(p.name.removeprefix("fdam-")) != p]
TWINS = [p for p in TWINS if p.with_name(p.name.removeprefix("fdam-")).exists()]


def name(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


@pytest.mark.parametrize("path", ALL, ids=name)
def test_builds(path: Path) -> None:
    config = Config.fromfile(path)
    init_default_scope(config.default_scope)
    register_toolkit(config.default_scope)
    with torch.device("meta"):
        model = MODELS.build(config.model)
    layers = [m for m in model.modules() if isinstance(m, FreqScale)]
    gates = [m for m in model.modules() if isinstance(m, AttInv) and m.high]
    fdam = config.model.backbone.get("fdam", {})
    assert bool(fdam) == path.name.startswith("fdam-")
    assert bool(layers) == bool(fdam.get("freq_scale"))
    assert bool(gates) == bool(fdam.get("att_inv"))


@pytest.mark.parametrize("path", TWINS, ids=name)
def test_twins(path: Path) -> None:
    ours = Config.fromfile(path).to_dict()
    plain = Config.fromfile(path.with_name(path.name.removeprefix("fdam-"))).to_dict()
    assert ours["model"]["backbone"].pop("fdam")
    ours["optim_wrapper"].get("paramwise_cfg", {}).pop("freq_scale_lr_mult", None)
    assert ours == plain


def test_released_setting() -> None:
    path = CONFIGS / "deit3/fdam-deit3-b16_upernet_4xb4-160k_ade20k-512x512.py"
    config = Config.fromfile(path)
    assert config.optim_wrapper.optimizer == dict(
        type="AdamW", lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01
    )
    assert config.optim_wrapper.paramwise_cfg == dict(
        layer_decay=0.95, num_layers=12, freq_scale_lr_mult=2
    )
    assert config.train_cfg.max_iters == 160000
    assert config.train_dataloader.batch_size == 4
    assert config.model.backbone.drop_path_rate == 0.15
    assert config.model.test_cfg == dict(mode="whole")
    warmup, poly = config.param_scheduler
    assert (warmup.start_factor, warmup.end) == (1e-6, 1500)
    assert (poly.power, poly.end, poly.eta_min) == (1.0, 160000, 0.0)
    assert config.model.auxiliary_head.in_index == 2
    assert config.model.auxiliary_head.loss_decode.loss_weight == 0.4


def test_demo_names_the_drawn_classes() -> None:
    config = Config.fromfile(CONFIGS / "demo/vit_demo.py")
    assert config.classes == CLASSES and config.palette == PALETTE
    assert config.train_dataloader.dataset.metainfo == dict(classes=CLASSES, palette=PALETTE)
