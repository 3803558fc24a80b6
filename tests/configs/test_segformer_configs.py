"""The SegFormer configs: they build, start from local files, and twins differ in FDAM alone."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import fdam_mm.openmmlab  # noqa: F401  registers the models and finds mmseg's packaged configs
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.models import FDAMMixVisionTransformer

CONFIGS = Path(__file__).parents[2] / "configs"
PLAIN = sorted(CONFIGS.glob("segformer/segformer_*.py"))
DEMO = CONFIGS / "demo/segformer_demo.py"


def twin(file: Path) -> Path:
    return file.with_name(f"fdam-{file.name}")


def build(config: Config, device: str = "meta") -> torch.nn.Module:
    init_default_scope("mmseg")
    with torch.device(device):
        return MODELS.build(config.model)


def test_all_variants_are_here() -> None:
    ade = [f"segformer_mit-b{i}_8xb2-160k_ade20k-512x512.py" for i in range(6)]
    cityscapes = "segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py"
    assert {file.name for file in PLAIN} == {*ade, cityscapes}
    assert all(twin(file).is_file() for file in [*PLAIN, DEMO])


@pytest.mark.parametrize("file", [*PLAIN, DEMO], ids=lambda file: file.stem)
def test_twins_build_and_differ_in_fdam_alone(file: Path) -> None:
    plain, fdam = Config.fromfile(file), Config.fromfile(twin(file))
    model, fdam_model = build(plain), build(fdam)
    assert not any(
        isinstance(m, AttInv | FreqScale) and any(m.parameters()) for m in model.modules()
    )
    blocks = sum(plain.model.backbone.num_layers)
    assert sum(isinstance(m, FreqScale) for m in fdam_model.modules()) == 2 * blocks
    assert fdam_model.state_dict().keys() > model.state_dict().keys()

    assert fdam.model.backbone.pop("fdam") == dict(att_inv=True, freq_scale=True)
    assert fdam.to_dict() == plain.to_dict()


@pytest.mark.parametrize("file", PLAIN, ids=lambda file: file.stem)
def test_recipe_is_mmsegs(file: Path) -> None:
    ours = Config.fromfile(file)
    theirs = Config.fromstring(f'_base_ = "mmseg::segformer/{file.name}"', ".py")
    checkpoint = ours.model.backbone.init_cfg.checkpoint
    address = theirs.model.backbone.init_cfg.checkpoint
    assert checkpoint == f"pretrain/{address.rpartition('/')[2]}"
    assert address in file.read_text()

    ours.model.backbone.update(type="MixVisionTransformer")
    ours.model.backbone.init_cfg.checkpoint = ours.checkpoint = address
    assert ours.optim_wrapper.pop("constructor") == "FDAMOptimWrapperConstructor"
    ours.pop("custom_imports")
    gpus, pictures = re.search(r"_(\d+)xb(\d+)-", file.name).groups()
    total = int(gpus) * int(pictures)  # which the learning rate is for
    assert ours.pop("auto_scale_lr") == dict(enable=False, base_batch_size=total)
    assert ours.to_dict() == theirs.to_dict()


def test_learning_rates() -> None:
    config = Config.fromfile(twin(PLAIN[1]))
    model = build(config)
    assert isinstance(model.backbone, FDAMMixVisionTransformer)
    groups = build_optim_wrapper(model, config.optim_wrapper).optimizer.param_groups
    settings = {
        name: (group["lr"], group["weight_decay"])
        for group in groups
        for name in group["param_names"]
    }
    assert settings.keys() == dict(model.named_parameters()).keys()
    block = "backbone.layers.0.1.0"
    base, head = pytest.approx((6e-5, 0.01)), pytest.approx((6e-4, 0.01))
    assert settings["decode_head.conv_seg.weight"] == head
    assert settings[f"{block}.attn.attn.in_proj_weight"] == base
    assert settings[f"{block}.freq_scale_1.bases"] == base
    assert settings[f"{block}.attn.att_inv.high_gate.weight"] == base
    for name in ("norm1.weight", "attn.att_inv.low_gamma", "attn.att_inv.act.scale"):
        assert settings[f"{block}.{name}"] == pytest.approx((6e-5, 0.0)), name


@pytest.mark.parametrize("file", [DEMO, twin(DEMO)], ids=lambda file: file.stem)
def test_demo_computes_a_loss(file: Path) -> None:
    torch.manual_seed(0)
    config = Config.fromfile(file)
    config.model.decode_head.norm_cfg.type = "BN"
    model = build(config, "cpu").train()
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 7, (1, 64, 64))))
    loss = model.loss(torch.randn(2, 3, 64, 64), [sample, sample])["decode.loss_ce"]
    loss.backward()
    assert torch.isfinite(loss)
