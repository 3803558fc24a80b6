"""FDAM in any model of a config, by ``WithFDAM``."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope

import fdam_mm.models  # noqa: F401  registers WithFDAM
from fdam_mm import fdam_parameters
from fdam_mm.errors import ConfigError, UnservedError
from fdam_mm.toolkits.registration import register_toolkit
from fdam_mm.training.argument_types import refuse_wrong_types
from fdam_mm.training.config import read_config

pytest.importorskip("mmseg.models")
_BOTH = dict(att_inv=True, freq_scale=True)
_MIT = dict(embed_dims=16, num_layers=[1, 1, 1, 1], num_heads=[1, 2, 5, 8])


@pytest.fixture(autouse=True)
def mmseg() -> None:
    init_default_scope("mmseg")
    register_toolkit("mmseg")


def _build(**settings: Any) -> Any:
    return MODELS.build(dict(type="WithFDAM", **settings))


def test_the_plain_models_keys_load() -> None:
    plain = MODELS.build(dict(type="MixVisionTransformer", **_MIT)).eval()
    model = _build(of="MixVisionTransformer", fdam=_BOTH, **_MIT).eval()
    assert type(model) is type(plain)
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and all(".att_inv." in k or ".freq_scale_" in k for k in missing)
    image = torch.randn(1, 3, 52, 84)
    with torch.no_grad():
        for ours, theirs in zip(model(image), plain(image), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    model.init_weights()  # as a training does
    assert len(list(fdam_parameters(model))) == len(missing)


def test_without_fdam_it_is_the_plain_model() -> None:
    plain = MODELS.build(dict(type="MixVisionTransformer", **_MIT))
    assert (
        _build(of="MixVisionTransformer", **_MIT).state_dict().keys() == plain.state_dict().keys()
    )


def test_one_line_in_a_config_that_inherits(tmp_path: Path) -> None:
    (tmp_path / "twin.py").write_text(
        '_base_ = ["mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py"]\n'
        "model = dict(backbone=dict(type='WithFDAM', of='MixVisionTransformer', "
        "fdam=dict(att_inv=True, freq_scale=True)))\n"
    )
    model = read_config(str(tmp_path / "twin.py"), {}).model
    refuse_wrong_types(model, "mmseg")
    model.decode_head.norm_cfg = dict(type="BN")
    segmentor = MODELS.build(model)
    assert type(segmentor.backbone).__name__ == "MixVisionTransformer"
    assert segmentor.backbone.layers[0][1][0].freq_scale_1.bases.requires_grad


def test_another_toolkits_type_and_patterns() -> None:
    pytest.importorskip("mmdet.models")
    register_toolkit("mmdet")
    model = _build(
        of="mmdet.SwinTransformer", embed_dims=24, depths=[1, 1, 1, 1], num_heads=[1, 2, 4, 8],
        window_size=4, fdam=dict(freq_scale=True, include="stages.3.*"),
    )  # fmt: skip
    assert sum("freq_scale_1.bases" in key for key in model.state_dict()) == 1
    assert not any("att_inv" in key for key in model.state_dict())


@pytest.mark.parametrize("fdam", [True, dict(attinv=True)])
def test_wrong_settings(fdam: Any) -> None:
    with pytest.raises(ConfigError, match="expected a dict of att_inv"):
        _build(of="MixVisionTransformer", fdam=fdam, **_MIT)


def test_a_model_that_cannot_be_served() -> None:
    with pytest.raises(UnservedError, match="no place for"):
        _build(of="ResNet", depth=18, fdam=_BOTH)
