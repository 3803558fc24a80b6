"""The LSKNet configs: data as in mmrotate, the published recipe, twins that add FreqScale."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS, MODELS, init_default_scope
from support.tools import ROOT

from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.models import LSKNet
from fdam_mm.toolkits.registration import register_toolkit

FOLDER = ROOT / "configs/lsknet"
PLAIN = sorted(file for file in FOLDER.glob("*.py") if not file.name.startswith("fdam-"))
ORIENTED = "oriented-rcnn-le90_lsknet-{}_fpn_{}.py"
SCHEDULES = ["1x_dota", "3x_dota", "1x_dota-ms", "3x_dota-ms", "ema-1x_dota", "ema-1x_dota-ms"]
SCHEDULES += ["3x_hrsc", "1x_dior"]
DIMS = dict(t=[32, 64, 160, 256], s=[64, 128, 320, 512])


def twin(file: Path) -> Path:
    return file.with_name(f"fdam-{file.name}")


def build(config: Config) -> torch.nn.Module:
    init_default_scope("mmrotate")
    register_toolkit("mmrotate")
    with torch.device("meta"):
        return MODELS.build(config.model)


def test_all_variants_are_here() -> None:
    oriented = {ORIENTED.format(size, schedule) for size in "ts" for schedule in SCHEDULES}
    others = {f"{name}-le90_lsknet-s_fpn_1x_dota.py" for name in ("rotated-faster-rcnn", "s2anet")}
    assert {file.name for file in PLAIN} == oriented | others
    assert all(twin(file).is_file() for file in PLAIN)


@pytest.mark.parametrize("file", PLAIN, ids=lambda file: file.stem)
def test_recipe(file: Path) -> None:
    config = Config.fromfile(file)
    assert config.optim_wrapper.optimizer == dict(
        type="AdamW",
        lr=4e-4 if "hrsc" in file.name else 1e-4,
        betas=(0.9, 0.999),
        weight_decay=0.05,
    )
    assert config.train_dataloader.batch_size == 1
    rotates = any(step["type"] == "RandomRotate" for step in config.train_pipeline)
    assert rotates == ("oriented" in file.name and "dior" not in file.name)
    size = "t" if "lsknet-t" in file.name else "s"
    assert config.model.backbone.embed_dims == config.model.neck.in_channels == DIMS[size]
    assert config.model.backbone.init_cfg.checkpoint == f"pretrain/lsk_{size}_backbone.pth"
    epochs = 36 if "3x" in file.name else 12
    assert config.train_cfg.max_epochs == config.param_scheduler[1].end == epochs
    assert config.param_scheduler[1].milestones == [epochs * 2 // 3, epochs * 11 // 12]


@pytest.mark.parametrize(
    ("name", "data", "num_classes"),
    [
        ("1x_dota", "dota", 15),
        ("3x_dota-ms", "dota_ms", 15),
        ("ema-1x_dota-ms", "dota_ms", 15),
        ("3x_hrsc", "hrsc", 1),
        ("1x_dior", "dior", 20),
    ],
)
@pytest.mark.parametrize("size", "ts")
def test_data_is_mmrotates(size: str, name: str, data: str, num_classes: int) -> None:
    ours = Config.fromfile(FOLDER / ORIENTED.format(size, name)).to_dict()
    assert ours["model"]["roi_head"]["bbox_head"]["num_classes"] == num_classes
    base = f'_base_ = "mmrotate::_base_/datasets/{data}.py"'
    theirs = Config.fromstring(base, ".py").to_dict()
    theirs["train_dataloader"]["batch_size"] = 1
    ours, theirs = without_scope({key: ours[key] for key in theirs}), without_scope(theirs)
    if data in ("dota", "hrsc"):  # the authors also rotate, and enlarge HRSC2016
        ours = {k: ours[k] for k in theirs if not k.endswith("_pipeline")}
        theirs = {k: theirs[k] for k in ours}
        for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
            del ours[loader]["dataset"]["pipeline"], theirs[loader]["dataset"]["pipeline"]
    assert ours == theirs


def without_scope(settings: object) -> object:
    """Drop the ``_scope_`` that mmengine marks other packages' settings with."""
    if isinstance(settings, dict):
        kept = {k: v for k, v in settings.items() if k not in ("_scope_", "backend_args")}
        return {k: without_scope(v) for k, v in kept.items()}
    return [without_scope(s) for s in settings] if isinstance(settings, list) else settings


@pytest.mark.parametrize("file", PLAIN[-4:], ids=lambda file: file.stem)
def test_twins_add_freq_scale_alone(file: Path) -> None:
    plain, fdam = build(Config.fromfile(file)), build(Config.fromfile(twin(file)))
    assert isinstance(plain.backbone, LSKNet)
    blocks = sum(len(stage.blocks) for stage in fdam.backbone.stages)
    assert sum(isinstance(m, FreqScale) for m in fdam.modules()) == 2 * blocks
    assert not any(isinstance(m, AttInv) and (m.low or m.high) for m in fdam.modules())
    added = fdam.state_dict().keys() - plain.state_dict().keys()
    assert added and all(".freq_scale_" in key for key in added)
    assert fdam.state_dict().keys() > plain.state_dict().keys()


def test_parameter_groups() -> None:
    config = Config.fromfile(FOLDER / f"fdam-{ORIENTED.format('t', '1x_dota')}")
    model = build(config)
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    settings = {
        name: (group["lr"], group["weight_decay"])
        for group in wrapper.optimizer.param_groups
        for name in group["param_names"]
    }
    assert settings.keys() == dict(model.named_parameters()).keys()
    assert set(settings.values()) == {(1e-4, 0.05), (1e-4, 0.0)}
    block = "backbone.stages.0.blocks.0"
    for name in ("attn.context.far.weight", "freq_scale_1.bases"):
        assert settings[f"{block}.{name}"] == (1e-4, 0.05), name
    for name in ("gamma_1", "norm1.weight", "freq_scale_2.reweight.act.scale"):
        assert settings[f"{block}.{name}"] == (1e-4, 0.0), name
    assert wrapper.clip_grad_kwargs["max_norm"] == 35


def test_ema_hook_builds() -> None:
    config = Config.fromfile(FOLDER / ORIENTED.format("s", "ema-1x_dota"))
    (hook,) = config.custom_hooks
    ema = HOOKS.build(hook).ema_cfg
    assert (ema["type"], ema["momentum"], ema["gamma"]) == ("ExpMomentumEMA", 2e-4, 102492)
