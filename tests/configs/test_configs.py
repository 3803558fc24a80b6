"""Every config builds, and twins differ in FDAM and its learning-rate multipliers alone."""

from functools import partial
from pathlib import Path
from typing import Any

import mmseg
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from support.tools import ROOT

from fdam_mm.data.demo import aerial
from fdam_mm.data.demo import coco as demo_coco
from fdam_mm.data.demo.scenes import CLASSES, PALETTE
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.toolkits.patches.packaged_configs import find_packaged_configs
from fdam_mm.toolkits.registration import register_toolkit

find_packaged_configs()  # what a training does; alone, this file would not find mmseg's

CONFIGS = ROOT / "configs"
ALL = sorted(p for p in CONFIGS.rglob("*.py") if "_base_" not in p.parts)
TWINS = [p for p in ALL if p.with_name(p.name.removeprefix("fdam-")) != p]
TWINS = [p for p in TWINS if p.with_name(p.name.removeprefix("fdam-")).exists()]


def name(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


def carrier(model: dict[str, Any]) -> dict[str, Any]:
    """The part that has the key ``fdam``: Mask DINO's pixel decoder, else the backbone."""
    return model.get("panoptic_head", {}).get("pixel_decoder") or model["backbone"]


@pytest.mark.parametrize("path", ALL, ids=name)
def test_builds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # mmdet's Swin reads its drop-path rates off a tensor, which must hold values for that.
    monkeypatch.setattr(torch, "linspace", partial(torch.linspace, device="cpu"))
    config = Config.fromfile(path)
    init_default_scope(config.default_scope)
    register_toolkit(config.default_scope)
    with torch.device("meta"):
        model = MODELS.build(config.model)
    if config.train_cfg.get("type") == "IterBasedTrainLoop":  # or every validation is step 0
        assert config.default_hooks.logger.log_metric_by_epoch is False
    layers = [m for m in model.modules() if isinstance(m, FreqScale)]
    gates = [m for m in model.modules() if isinstance(m, AttInv) and m.high]
    fdam = carrier(config.model).get("fdam", {})
    assert bool(fdam) == path.name.startswith("fdam-")
    assert bool(layers) == bool(fdam.get("freq_scale"))
    assert bool(gates) == bool(fdam.get("att_inv"))


@pytest.mark.parametrize("path", TWINS, ids=name)
def test_twins(path: Path) -> None:
    ours = Config.fromfile(path).to_dict()
    plain = Config.fromfile(path.with_name(path.name.removeprefix("fdam-"))).to_dict()
    assert carrier(ours["model"]).pop("fdam")
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
    assert config.model.backbone.drop_path_ramp is False
    assert config.model.backbone.pad_patches is False
    assert config.model.test_cfg == dict(mode="whole")
    warmup, poly = config.param_scheduler
    assert (warmup.start_factor, warmup.end) == (1e-6, 1500)
    assert (poly.power, poly.end, poly.eta_min) == (1.0, 160000, 0.0)
    assert config.model.auxiliary_head.in_index == 2
    assert config.model.auxiliary_head.loss_decode.loss_weight == 0.4


def test_deit_keeps_mmsegs_recipe() -> None:
    name = "deit-b16_upernet_8xb2-160k_ade20k-512x512.py"
    ours = Config.fromfile(CONFIGS / "deit" / name)
    theirs = Config.fromfile(Path(mmseg.__file__).parent / ".mim/configs/vit" / f"vit_{name}")
    assert ours.optim_wrapper.optimizer == theirs.optim_wrapper.optimizer
    assert ours.param_scheduler == theirs.param_scheduler
    assert ours.train_cfg.max_iters == theirs.train_cfg.max_iters
    assert ours.train_dataloader.batch_size == theirs.train_dataloader.batch_size
    for part in ("neck", "decode_head", "auxiliary_head", "test_cfg"):
        assert ours.model[part] == theirs.model[part], part
    for setting in ("out_indices", "with_cls_token", "drop_path_rate"):
        assert ours.model.backbone[setting] == theirs.model.backbone[setting], setting
    assert ours.model.backbone.get("drop_path_ramp", True)
    assert not ours.optim_wrapper.paramwise_cfg  # no decay of 1-D parameters, theirs decays some


def test_mask_dino_parameter_groups() -> None:
    """As the official recipe: a slow backbone; norms and embeddings, but not the levels', kept."""
    config = Config.fromfile(CONFIGS / "mask_dino/mask-dino_r50_4scale_8xb2-lsj-12e_coco.py")
    init_default_scope(config.default_scope)
    register_toolkit(config.default_scope)
    with torch.device("meta"):
        model = MODELS.build(config.model)
    found = {}
    for group in build_optim_wrapper(model, config.optim_wrapper).optimizer.param_groups:
        found.update(dict.fromkeys(group["param_names"], (group["lr"], group["weight_decay"])))
    head = "panoptic_head"
    assert found["backbone.layer1.0.conv1.weight"] == pytest.approx((1e-5, 0.05))
    assert found[f"{head}.pixel_decoder.level_embed"] == (1e-4, 0.05)
    assert found[f"{head}.cls_embed.bias"] == (1e-4, 0.05)
    assert found[f"{head}.decoder.layers.0.self_attn.attn.in_proj_bias"] == (1e-4, 0.05)
    assert found[f"{head}.denoising.label_embed.weight"] == (1e-4, 0.0)
    assert found[f"{head}.decoder.layers.0.norms.0.bias"] == (1e-4, 0.0)
    assert found[f"{head}.pixel_decoder.input_convs.0.gn.weight"] == (1e-4, 0.0)
    assert not any("bn1" in name for name in found)  # frozen


def test_demo_names_the_drawn_classes() -> None:
    config = Config.fromfile(CONFIGS / "demo/vit_demo.py")
    assert config.classes == CLASSES and config.palette == PALETTE
    assert config.train_dataloader.dataset.metainfo == dict(classes=CLASSES, palette=PALETTE)


def test_mask_dino_demo_names_the_drawn_classes() -> None:
    config = Config.fromfile(CONFIGS / "demo/mask-dino_demo.py")
    things, stuff = demo_coco.THINGS, demo_coco.STUFF
    known = dict(classes=things + stuff, thing_classes=things, stuff_classes=stuff)
    for loader in (config.train_dataloader, config.val_dataloader):
        assert loader.dataset.metainfo == dict(**known, palette=demo_coco.PALETTE)
    head = config.model.panoptic_head
    assert (head.num_things_classes, head.num_stuff_classes) == (len(things), len(stuff))


def test_oriented_demo_names_what_is_drawn() -> None:
    config = Config.fromfile(CONFIGS / "demo/oriented-rcnn_lsknet_demo.py")
    meta = config.train_dataloader.dataset.metainfo
    assert meta.classes == config.val_dataloader.dataset.metainfo.classes == aerial.CLASSES
    assert meta.palette == [tuple(colour) for colour in aerial.PALETTE]
    assert config.model.roi_head.bbox_head.num_classes == len(aerial.CLASSES)
    assert config.demo_set.layout == "dota"
