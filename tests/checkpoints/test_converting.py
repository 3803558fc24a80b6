"""Foreign layouts to our keys."""

import pytest
import torch

from fdam_mm.checkpoints import convert, detect
from fdam_mm.checkpoints.sources.renaming import rename
from fdam_mm.models import FDAMVisionTransformer

T = torch.zeros(1)


@pytest.mark.parametrize(
    ("official", "ours"),
    [
        (
            "backbone.blocks.3.attn.dy_freq_2.weight",
            "backbone.blocks.3.attn.att_inv.low_gate.weight",
        ),
        ("backbone.blocks.3.attn.dy_freq.bias", "backbone.blocks.3.attn.att_inv.high_gate.bias"),
        ("blocks.0.attn.dy_freq_starrelu.scale", "blocks.0.attn.att_inv.act.scale"),
        ("lf_gamma", "att_inv.low_gamma"),
        ("attn.hf_gamma", "attn.att_inv.high_gamma"),
        ("freq_scale_1.complex_weights", "freq_scale_1.bases"),
        ("complex_weights", "bases"),
        ("freq_scale_2.reweight.fc1.weight", "freq_scale_2.reweight.fc1.weight"),
        ("backbone.blocks.0.gamma_1", "backbone.blocks.0.gamma_1"),
        ("decode_head.conv_seg.bias", "decode_head.conv_seg.bias"),
        ("neck.fpn1.3.weight", "neck.fpn1.3.weight"),
    ],
)
def test_fdam_keys(official: str, ours: str) -> None:
    assert list(convert({official: T}, source="fdam")) == [ours]


@pytest.mark.parametrize(("low", "high"), [(False, False), (True, False), (False, True)])
def test_fdam_with_paths_switched_off(low: bool, high: bool) -> None:
    """The official attention keeps its activation also where no gate uses it."""
    model = FDAMVisionTransformer(
        img_size=32, embed_dims=16, num_layers=2, num_heads=2, out_indices=1,
        fdam=dict(att_inv=dict(low=low, high=high)),
    )  # fmt: skip
    official = {
        "att_inv.low_gate": "dy_freq_2",
        "att_inv.high_gate": "dy_freq",
        "att_inv.act": "dy_freq_starrelu",
        "att_inv.low_gamma": "lf_gamma",
        "att_inv.high_gamma": "hf_gamma",
    }
    state = rename(model.state_dict(), official)
    for block in range(2):
        for name in ("scale", "bias"):
            state[f"blocks.{block}.attn.dy_freq_starrelu.{name}"] = T
    assert detect(state) == "fdam"
    model.load_state_dict(convert(state), strict=True)


def test_detection_and_wrappers() -> None:
    state = {"module.backbone.blocks.0.attn.dy_freq.bias": T}
    for wrapped in (state, dict(state_dict=state, meta={}), dict(model=state)):
        assert list(convert(wrapped)) == ["backbone.blocks.0.attn.att_inv.high_gate.bias"]
    assert detect({"blocks.0.attn.qkv.weight": T, "head.weight": T}) == "deit"
    assert detect({"blocks.0.ls1.gamma": T}) == "timm"
    assert detect({"backbone.layers.0.attn.attn.in_proj_weight": T}) == "mmseg"
    assert detect({"backbone.layer1.0.conv1.weight": T}) is None


def test_our_own_layout_stays() -> None:
    model = FDAMVisionTransformer(
        img_size=32, embed_dims=16, num_layers=1, num_heads=1, out_indices=0, with_cls_token=True,
        fdam=dict(att_inv=True, freq_scale=True), layer_scale_init=1.0,
    )  # fmt: skip
    state = model.state_dict()
    assert list(convert(state)) == list(state)


def test_timm_keys() -> None:
    state = {"blocks.0.ls1.gamma": T, "blocks.0.ls2.gamma": T, "norm.weight": T, "pos_embed": T}
    assert list(convert(state)) == ["blocks.0.gamma_1", "blocks.0.gamma_2", "pos_embed"]


def test_timm_deit3_loads_and_agrees() -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    theirs = timm.create_model(
        "deit3_small_patch16_224", img_size=64, embed_dim=48, num_heads=3, depth=2, num_classes=0
    ).eval()
    torch.nn.init.normal_(theirs.pos_embed)
    ours = FDAMVisionTransformer(
        img_size=64, embed_dims=48, num_layers=2, num_heads=3, out_indices=1, with_cls_token=True,
        layer_scale_init=1e-4,
    ).eval()  # fmt: skip
    ours.load_state_dict(convert(theirs.state_dict()))
    image = torch.randn(1, 3, 64, 64)
    (expected,) = theirs.forward_intermediates(
        image, indices=[1], norm=False, intermediates_only=True
    )
    torch.testing.assert_close(ours(image)[0], expected, rtol=1e-4, atol=1e-5)


def test_unknown_source() -> None:
    with pytest.raises(ValueError, match="source 'tf' does not exist; choose one of"):
        convert({}, source="tf")
