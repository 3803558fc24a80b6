"""The authors' LSKNet files: ImageNet weights, and detectors of mmrotate 0.x."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from support.golden import load_case
from support.tools import ROOT
from torch import Tensor, nn

from fdam_mm.checkpoints import SOURCES, convert, detect, load_pretrained, load_state
from fdam_mm.models import LSKNet
from fdam_mm.toolkits.registration import register_toolkit
from fdam_mm.training.runner import FDAMRunner

CASE = load_case("lsknet_tiny")
BUILD = {key: value for key, value in CASE.build.items() if key != "norm"}
HEAD = {"head.weight": torch.zeros(1000, 64), "head.bias": torch.zeros(1000)}
# Neck and heads of Oriented R-CNN in mmrotate 0.x: keys and shapes with 16 and 32 channels.
DETECTOR = {
    **{f"neck.lateral_convs.{i}.conv": (16, dim, 1, 1) for i, dim in enumerate((16, 32, 64, 64))},
    **{f"neck.fpn_convs.{i}.conv": (16, 16, 3, 3) for i in range(4)},
    "rpn_head.rpn_conv": (16, 16, 3, 3),
    "rpn_head.rpn_cls": (3, 16, 1, 1),
    "rpn_head.rpn_reg": (18, 16, 1, 1),
    "roi_head.bbox_head.fc_cls": (16, 32),
    "roi_head.bbox_head.fc_reg": (5, 32),
    "roi_head.bbox_head.shared_fcs.0": (32, 16 * 7 * 7),
    "roi_head.bbox_head.shared_fcs.1": (32, 32),
}


def model(**options: object) -> LSKNet:
    return LSKNet(**BUILD, **options)


def old_detector() -> dict[str, Tensor]:
    """A detector's state dict with the keys of mmrotate 0.x."""
    state = {f"backbone.{key}": value for key, value in CASE.state.items()}
    for name, shape in DETECTOR.items():
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.randn(shape), torch.randn(shape[0])
    return state


def new_detector() -> nn.Module:
    config = Config.fromfile(ROOT / "configs/lsknet/oriented-rcnn-le90_lsknet-s_fpn_1x_dota.py")
    init_default_scope("mmrotate")
    register_toolkit("mmrotate")
    detector = config.model
    detector.backbone.update(BUILD, norm_cfg=dict(type="BN"), init_cfg=None)
    detector.neck.update(in_channels=[16, 32, 64, 64], out_channels=16)
    detector.rpn_head.update(in_channels=16, feat_channels=16)
    detector.roi_head.bbox_head.update(in_channels=16, fc_out_channels=32)
    return MODELS.build(detector)


def test_every_key_is_converted() -> None:
    assert detect(CASE.state) == "lsknet"
    assert detect({key: value for key, value in CASE.state.items() if "block3" in key}) == "lsknet"
    ours = convert(CASE.state)
    load_state(model(), ours, "the golden case", fit="exact")
    assert detect(ours) is None and convert(ours).keys() == ours.keys()
    unit = "block3.1.attn.spatial_gating_unit"
    for our_key, their_key in {
        "stages.0.proj.weight": "patch_embed1.proj.weight",
        "stages.1.proj_norm.running_var": "patch_embed2.norm.running_var",
        "stages.3.norm.bias": "norm4.bias",
        "stages.2.blocks.1.norm1.weight": "block3.1.norm1.weight",
        "stages.2.blocks.1.gamma_2": "block3.1.layer_scale_2",
        "stages.2.blocks.1.attn.proj_in.weight": "block3.1.attn.proj_1.weight",
        "stages.2.blocks.1.attn.proj_out.bias": "block3.1.attn.proj_2.bias",
        "stages.2.blocks.1.attn.context.near.weight": f"{unit}.conv0.weight",
        "stages.2.blocks.1.attn.context.far.weight": f"{unit}.conv_spatial.weight",
        "stages.2.blocks.1.attn.context.near_proj.weight": f"{unit}.conv1.weight",
        "stages.2.blocks.1.attn.context.far_proj.weight": f"{unit}.conv2.weight",
        "stages.2.blocks.1.attn.context.select.weight": f"{unit}.conv_squeeze.weight",
        "stages.2.blocks.1.attn.context.proj.weight": f"{unit}.conv.weight",
        "stages.2.blocks.1.mlp.dwconv.weight": "block3.1.mlp.dwconv.dwconv.weight",
    }.items():
        assert torch.equal(ours[our_key], CASE.state[their_key]), our_key


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "state_dict_ema"])
def test_imagenet_file(wrapper: str, tmp_path: Path) -> None:
    file = tmp_path / "lsk.pth"
    torch.save({wrapper: {f"module.{k}": v for k, v in (CASE.state | HEAD).items()}}, file)
    ours = model(fdam=dict(freq_scale=True))
    load_pretrained(ours, file)
    assert torch.equal(ours.stages[3].norm.weight, CASE.state["norm4.weight"])


def test_part_of_a_file_by_name() -> None:
    part = {"block1.0.mlp.fc1.bias": torch.zeros(2), "head.bias": torch.zeros(1)}
    assert detect(part) is None
    assert set(convert(part, source="lsknet")) == {"stages.0.blocks.0.mlp.fc1.bias"}


@pytest.mark.parametrize(
    "keys",
    [
        ["patch_embed1.proj.weight", "block1.0.attn.kv.weight", "block1.0.mlp.fc1.weight"],
        ["block1.0.attn.spatial_gating_unit.conv_spatial.weight", "block1.0.layer_scale_1"],
        ["blocks.0.attn.qkv.weight", "norm.weight"],
    ],
    ids=["MiT", "VAN", "plain ViT"],
)
def test_alike_layouts_are_not_taken_for_lsknet(keys: list[str]) -> None:
    assert not SOURCES["lsknet"].matches({key: torch.zeros(1) for key in keys})


def test_old_detector_fits_the_new_one(tmp_path: Path) -> None:
    """Every key and shape; mmcv's EMA hook leaves the unaveraged weights in extra buffers."""
    state = old_detector()
    raw = {f"ema_{key.replace('.', '_')}": torch.zeros_like(value) for key, value in state.items()}
    detector = new_detector()
    load_state(detector, convert(dict(state_dict=state | raw)), "made up", fit="exact")
    found = detector.state_dict()
    for key in ("rpn_head.rpn_conv.weight", "roi_head.bbox_head.shared_fcs.0.bias"):
        assert torch.equal(found[key], state[key])
    assert torch.equal(found["backbone.stages.0.norm.bias"], state["backbone.norm1.bias"])

    torch.save(dict(state_dict=state | raw), tmp_path / "detector.pth")
    ours = model()
    load_pretrained(ours, tmp_path / "detector.pth")
    assert torch.equal(ours.stages[0].norm.bias, state["backbone.norm1.bias"])


def test_ema_model_starts_from_a_foreign_file(tmp_path: Path) -> None:
    torch.save(dict(state_dict=CASE.state | HEAD, meta=dict(epoch=1)), tmp_path / "lsk.pth")
    runner = FDAMRunner(
        model(),
        str(tmp_path / "work"),
        cfg=Config(dict()),
        experiment_name="lsknet",
        default_hooks={},
        custom_hooks=[dict(type="EMAHook", momentum=2e-4)],
    )
    runner.call_hook("before_run")
    runner.load_checkpoint(str(tmp_path / "lsk.pth"))
    (ema,) = (hook.ema_model for hook in runner.hooks if hasattr(hook, "ema_model"))
    for trained in (runner.model, ema.module):
        assert torch.equal(trained.stages[3].norm.weight, CASE.state["norm4.weight"])
