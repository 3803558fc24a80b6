"""FDAMTimmBackbone: maps, weights, freezing, heads of mmseg and mmdet."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor, nn

from fdam_mm.checkpoints import convert
from fdam_mm.errors import (
    CheckpointError,
    CheckpointMismatchError,
    UnsafeCheckpointError,
    UsageError,
)
from fdam_mm.models import FDAMTimmBackbone
from fdam_mm.toolkits.registration import register_toolkit
from fdam_mm.training.config import read_config

FDAM = dict(att_inv=True, freq_scale=True)
VIT = dict(
    model_name="vit_small_patch14_dinov2",
    depth=4,
    embed_dim=48,
    num_heads=3,
    img_size=56,
    out_indices=(1, 3),
)
SWIN = dict(
    model_name="swin_tiny_patch4_window7_224",
    depths=(1, 1, 1, 1),
    embed_dim=24,
    window_size=4,
    drop_path_rate=0.0,
)
DAVIT = dict(
    model_name="davit_tiny",
    depths=(1, 1, 1, 1),
    embed_dims=(16, 24, 32, 48),
    num_heads=(1, 2, 4, 4),
)


def _image(height: int = 64, width: int = 96) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def _build(settings: dict[str, Any], **more: Any) -> FDAMTimmBackbone:
    torch.manual_seed(0)
    return FDAMTimmBackbone(**{**settings, **more}).eval()


HYBRID = dict(  # a small ResNet before a ViT
    model_name="vit_tiny_r_s16_p8_224", depth=2, embed_dim=48, num_heads=3, out_indices=(0, 1)
)
HYBRID_OF_ODD_MAPS = dict(  # its ResNet rounds up what the grid of tokens rounds down
    model_name="vit_base_r26_s32_224", depth=1, embed_dim=48, num_heads=3, out_indices=(0,)
)


@pytest.mark.parametrize("fdam", [None, FDAM], ids=["plain", "fdam"])
@pytest.mark.parametrize(
    "settings",
    [VIT, SWIN, DAVIT, HYBRID, HYBRID_OF_ODD_MAPS],
    ids=["vit", "swin", "davit", "hybrid", "hybrid-odd"],
)
def test_maps_of_any_input_are_nchw(settings: dict, fdam: dict | None) -> None:
    backbone = _build(settings, fdam=fdam)
    maps = backbone(_image(61, 93))
    strides = backbone.feature_info.reduction()
    for x, channels, stride in zip(maps, backbone.feature_info.channels(), strides, strict=True):
        assert x.shape == (2, channels, -(-61 // stride), -(-93 // stride))
        assert x.is_contiguous()


@pytest.mark.parametrize("settings", [VIT, SWIN, DAVIT], ids=["vit", "swin", "davit"])
def test_plain_is_timms_model(settings: dict) -> None:
    backbone = _build(settings)
    expected = backbone.timm_model(_image(56, 84))
    if backbone.channels_last:
        expected = [x.permute(0, 3, 1, 2) for x in expected]
    for ours, theirs in zip(backbone(_image(56, 84)), expected, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("settings", [VIT, SWIN], ids=["vit", "swin"])
def test_fdam_starts_as_the_plain_model(settings: dict) -> None:
    plain, fdam = _build(settings), _build(settings, fdam=FDAM)
    assert set(plain.state_dict()) < set(fdam.state_dict())
    fdam.load_state_dict(plain.state_dict(), strict=False)
    for a, b in zip(plain(_image()), fdam(_image()), strict=True):
        assert (a - b).norm() < 1e-3 * a.norm()
    assert fdam.report.count("AttInv") == 4
    assert plain.report is None


def test_one_layer_alone() -> None:
    report = _build(SWIN, fdam=dict(freq_scale=dict(groups=8))).report
    assert (report.count("AttInv"), report.count("FreqScale")) == (0, 8)
    assert _build(SWIN, fdam=dict(att_inv=False)).report is None


def test_where_in_the_model() -> None:
    report = _build(VIT, fdam=dict(**FDAM, include="blocks.[1-3]", exclude=["blocks.2"])).report
    assert (report.count("AttInv"), report.count("FreqScale")) == (2, 4)
    assert _build(VIT, fdam=dict(include="blocks.1")).report is None  # no layer at all
    with pytest.raises(UsageError, match=r"layers\.\*"):
        _build(VIT, fdam=dict(**FDAM, include="layers.*"))


def test_settings_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="no setting"):
        _build(SWIN, fdam=dict(attinv=True))
    with pytest.raises(ValueError, match="no attention"):
        _build(dict(model_name="convnext_atto"), fdam=FDAM)
    with pytest.raises(ValueError, match="near it: swin_tiny"):
        _build(dict(model_name="swin_tiny_patch4_window7"))


@pytest.mark.parametrize("settings", [VIT, SWIN], ids=["vit", "swin"])
def test_maps_that_do_not_exist_or_do_not_ascend(settings: dict) -> None:
    for outside in (50, (50,), (1, -50)):
        with pytest.raises(ValueError, match="name maps outside 0 .. 3"):
            _build(settings, out_indices=outside)
    for order in ((3, 0), (1, 1), (3, -1)):
        with pytest.raises(ValueError, match="must ascend without duplicates"):
            _build(settings, out_indices=order)
    for last in (3, -1, [-1]):
        (x,) = _build(settings, out_indices=last)(_image())
        assert torch.equal(x, _build(settings, out_indices=(1, 3))(_image())[-1])


def test_nothing_is_downloaded_to_build(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def create(**settings: Any) -> nn.Module:
        asked.append(settings.pop("pretrained", False))
        settings.pop("pretrained_cfg_overlay", None)
        return timm_create(**settings)

    timm_create = timm.create_model
    monkeypatch.setattr(timm, "create_model", create)
    backbone = _build(SWIN, pretrained=True)
    assert asked == [False]
    backbone.init_weights()
    assert asked == [False, True]


def test_pretrained_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    settings = {k: v for k, v in VIT.items() if k != "out_indices"}
    donor = timm.create_model(**settings)
    file = tmp_path / "vit.pth"
    torch.save(donor.state_dict(), file)
    backbone = _build(VIT, pretrained=str(file), fdam=FDAM)
    new = backbone.timm_model.model.blocks[0].attn.att_inv.low_gate.weight.clone()
    backbone.init_weights()
    model = backbone.timm_model.model
    assert torch.equal(model.blocks[3].attn.qkv.weight, donor.blocks[3].attn.qkv.weight)
    assert torch.equal(model.blocks[0].attn.att_inv.low_gate.weight, new)
    with pytest.raises(FileNotFoundError, match="no.pth"):
        _build(VIT, pretrained=str(tmp_path / "no.pth")).init_weights()


def _swin_file(file: Path) -> dict[str, Tensor]:
    torch.manual_seed(1)
    state = timm.create_model(**SWIN).state_dict()
    torch.save(state, file)
    return state


@pytest.mark.parametrize("wrapper", ["state_dict_ema", "model_ema", "state_dict", "model"])
def test_pretrained_from_a_training_of_timm(tmp_path: Path, wrapper: str) -> None:
    file = tmp_path / "swin.pth"
    state = {f"module.{k}": v for k, v in _swin_file(file).items()}
    others = {} if wrapper == "model" else {"state_dict": {k: v + 1 for k, v in state.items()}}
    torch.save({**others, wrapper: state}, file)
    backbone = _build(SWIN, pretrained=str(file), in_channels=1)
    random = torch.get_rng_state()
    backbone.init_weights()
    assert torch.equal(torch.get_rng_state(), random)
    weights = backbone.timm_model.state_dict()
    key = "layers_1.blocks.0.mlp.fc1.weight"
    assert torch.equal(weights[key], state["module." + key.replace("layers_1", "layers.1")])
    stem = state["module.patch_embed.proj.weight"].sum(1, keepdim=True)  # adapted by timm
    torch.testing.assert_close(weights["patch_embed.proj.weight"], stem)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (VIT, "timm's vit_small_patch14_dinov2"),
        (DAVIT, "timm's davit_tiny"),
        (dict(SWIN, embed_dim=48), "size mismatch"),
        (dict(SWIN, depths=(1, 1, 2, 1)), "nothing for .* weights, layers_2.blocks.1"),
        (dict(model_name="resnet18"), "nothing for .* weights, conv1.weight the first"),
    ],
    ids=["vit", "davit", "wider", "deeper", "resnet"],
)
def test_pretrained_file_of_another_model(tmp_path: Path, settings: dict, reason: str) -> None:
    file = tmp_path / "swin.pth"
    _swin_file(file)
    backbone = _build(settings, pretrained=str(file))
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    with pytest.raises(CheckpointMismatchError, match=f"swin.pth does not fit .*{reason}"):
        backbone.init_weights()
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())


def test_pretrained_file_that_is_damaged_or_unsafe(tmp_path: Path) -> None:
    file = tmp_path / "swin.pth"
    state = _swin_file(file)
    backbone = _build(SWIN, pretrained=str(file))
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="swin.pth .* is not a complete checkpoint"):
        backbone.init_weights()
    torch.save(dict(model={}), file)
    with pytest.raises(CheckpointError, match="swin.pth holds no tensors"):
        backbone.init_weights()
    torch.save(dict(model=[1, 2], epoch=3), file)
    with pytest.raises(CheckpointError, match="swin.pth does not fit"):
        backbone.init_weights()
    torch.save(dict(model=state, epoch=Fraction(1, 2)), file)
    with pytest.raises(UnsafeCheckpointError, match="model.backbone.allow_pickle=True"):
        backbone.init_weights()
    trusting = _build(SWIN, pretrained=str(file), allow_pickle=True)
    trusting.init_weights()
    weight = trusting.timm_model.layers_0.blocks[0].mlp.fc1.weight
    assert torch.equal(weight, state["layers.0.blocks.0.mlp.fc1.weight"])


def test_weights_of_a_trained_segmentor(tmp_path: Path) -> None:
    """Our own file, though LayerScale has timm's name in it."""
    trained = _build(VIT, fdam=FDAM)
    state = {f"backbone.{k}": v + 1 for k, v in trained.state_dict().items()}
    assert any("ls1.gamma" in k for k in state)
    assert convert(state).keys() == state.keys()
    torch.save(dict(state_dict=state), tmp_path / "segmentor.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "segmentor.pth"))
    backbone = _build(VIT, fdam=FDAM, init_cfg=init_cfg)
    backbone.init_weights()
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, state[f"backbone.{key}"])


@pytest.mark.parametrize("name", ["beit_base_patch16_224", "convit_tiny"])
def test_families_that_take_one_size(name: str) -> None:
    """As docs/bring_your_own_backbone.md says."""
    settings = dict(depth=1, embed_dim=48, num_heads=3, img_size=64, out_indices=0)
    backbone = _build(dict(model_name=name, **settings))
    assert backbone(_image(64, 64))[-1].shape[-2:] == (4, 4)
    with pytest.raises(AssertionError, match="doesn't match model"):
        backbone(_image(64, 96))


def test_init_weights_leaves_timms_start_alone() -> None:
    backbone = _build(VIT)
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    backbone.init_weights()
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())


def test_frozen_modules_leave_fdam_to_train() -> None:
    backbone = _build(VIT, fdam=FDAM, frozen=("patch_embed", "blocks.0"))
    backbone.train()
    block = backbone.timm_model.model.blocks[0]
    assert not block.attn.qkv.weight.requires_grad
    assert not block.mlp.training
    assert block.attn.att_inv.high_gamma.requires_grad
    assert block.freq_scale_1.bases.requires_grad
    assert backbone.timm_model.model.blocks[1].training
    with pytest.raises(ValueError, match="stem"):
        _build(VIT, frozen=("stem",))


@pytest.mark.parametrize("settings", [VIT, SWIN], ids=["vit", "swin"])
def test_checkpointing_gives_the_same_gradients(settings: dict) -> None:
    gradients = []
    for with_cp in (False, True):
        backbone = _build(settings, fdam=FDAM, with_cp=with_cp).train()
        sum(x.square().sum() for x in backbone(_image())).backward()
        gradients.append({k: p.grad for k, p in backbone.named_parameters()})
    for name, expected in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], expected)


def test_out_norm() -> None:
    for x in _build(SWIN, out_norm=True)(_image()):
        torch.testing.assert_close(x.mean(1), torch.zeros_like(x[:, 0]), atol=1e-4, rtol=0)


CONFIGS = {  # settings that shrink the config's model
    "swin-t_upernet_8xb2-160k_ade20k-512x512": dict(depths=(1, 1, 1, 1)),
    "davit-t_upernet_8xb2-160k_ade20k-512x512": dict(depths=(1, 1, 1, 1)),
    "maxvit-t_upernet_8xb2-160k_ade20k-512x512": dict(depths=(1, 1, 1, 1), img_size=64),
    "dinov2-s14_upernet_8xb2-160k_ade20k-512x512": dict(mlp_ratio=1),
    "dinov3-s16_upernet_8xb2-160k_ade20k-512x512": dict(mlp_ratio=1),
    "eva02-b16_upernet_8xb2-160k_ade20k-512x512": dict(mlp_ratio=1, img_size=64),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configs_build_and_segment(name: str) -> None:
    init_default_scope("mmseg")
    register_toolkit("mmseg")
    model = read_config(f"configs/timm/fdam-{name}.py", {}).model
    model.backbone.update(CONFIGS[name])
    model.data_preprocessor.size = (64, 64)
    for head in (model.decode_head, model.auxiliary_head):
        head.update(channels=16, norm_cfg=dict(type="BN"))
    if "neck" in model:
        model.neck.norm_cfg = dict(type="BN")
    segmentor = MODELS.build(model).train()
    assert segmentor.backbone.report.count("AttInv") > 0
    losses = segmentor(_image(64, 64), _masks(64), mode="loss")
    total = sum(value for key, value in losses.items() if "loss" in key)
    total.backward()
    assert torch.isfinite(total)
    unused = [k for k, p in segmentor.backbone.named_parameters() if p.grad is None]
    assert unused == []  # distributed training would stop


def _masks(size: int) -> list:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    masks = torch.randint(0, 150, (2, 1, size, size))
    return [SegDataSample(gt_sem_seg=PixelData(data=mask)) for mask in masks]


def test_feature_pyramid_of_mmdet() -> None:
    init_default_scope("mmdet")
    register_toolkit("mmdet")
    backbone = MODELS.build(dict(type="FDAMTimmBackbone", fdam=FDAM, out_norm=True, **SWIN))
    channels = backbone.feature_info.channels()
    neck = MODELS.build(dict(type="mmdet.FPN", in_channels=channels, out_channels=8, num_outs=5))
    assert [x.shape[1] for x in neck(backbone(_image()))] == [8] * 5
