"""mmseg's configs with another ``type``, and arguments that cannot be."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from mmseg.models.backbones import MixVisionTransformer, VisionTransformer
from mmseg.structures import SegDataSample
from support.golden import relative_error
from torch import nn

from fdam_mm.checkpoints import convert
from fdam_mm.errors import ConfigError
from fdam_mm.models import (
    FDAMMixVisionTransformer,
    FDAMTimmBackbone,
    FDAMVisionTransformer,
    LSKNet,
)
from fdam_mm.toolkits.registration import register_toolkit
from fdam_mm.training.config import read_config

VIT = dict(img_size=(32, 48), embed_dims=24, num_layers=2, num_heads=2, out_indices=(0, 1))
MIT = dict(embed_dims=8, num_layers=(1, 1, 1, 1), num_heads=(1, 2, 2, 2))
LSK = dict(embed_dims=(8, 16, 16, 16), depths=(1, 1, 1, 1))
TIMM = dict(model_name="vit_tiny_patch16_224", depth=1, embed_dim=24, num_heads=2, out_indices=0)
TIMM_CNN = dict(model_name="resnet18", out_indices=(1,))
PAIRS = [
    (VisionTransformer, FDAMVisionTransformer, VIT),
    (MixVisionTransformer, FDAMMixVisionTransformer, MIT),
]
OURS = [
    (FDAMVisionTransformer, VIT),
    (FDAMMixVisionTransformer, MIT),
    (LSKNet, LSK),
    (FDAMTimmBackbone, TIMM),
]
ARGUMENTS = [
    pytest.param(ours, tiny, parameter.name, parameter.default, id=f"{ours.__name__}-{name}")
    for theirs, ours, tiny in PAIRS
    for name, parameter in inspect.signature(theirs).parameters.items()
]


@pytest.mark.parametrize(("backbone", "tiny", "name", "default"), ARGUMENTS)
def test_every_argument_of_mmsegs_class_is_known(
    backbone: type, tiny: dict, name: str, default: Any
) -> None:
    """Its default means the same; nonsense is refused by its name."""
    if name not in ("embed_dims", "num_layers", "num_heads"):  # too large to build here
        backbone(**{**tiny, name: default})
    with pytest.raises((ConfigError, TypeError), match=name) as error:
        backbone(**{**tiny, name: object()}).init_weights()
    assert "unexpected keyword" not in str(error.value)


def equal_to_mmseg(size: tuple[int, int] = (32, 48), **options: Any) -> None:
    torch.manual_seed(0)
    theirs = VisionTransformer(**VIT, **options)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, mean=0.1 * (parameter.ndim == 1), std=0.1)
    ours = FDAMVisionTransformer(**VIT, **{"with_cls_token": True, **options})
    ours.load_state_dict(convert(theirs.state_dict()))
    theirs.train(ours.training), ours.train(theirs.training)
    image = torch.randn(2, 3, *size)
    for a, b in zip(ours(image), theirs(image), strict=True):
        a, b = ((x,) if isinstance(x, torch.Tensor) else x for x in (a, b))
        for x, y in zip(a, b, strict=True):
            assert relative_error(x, y) < 1e-5


@pytest.mark.parametrize(
    "options",
    [
        dict(norm_cfg=dict(type="LN")),
        dict(norm_cfg=dict(type="LN", eps=0.1, requires_grad=True), norm_eval=True),
        dict(norm_cfg=dict(type="LN"), act_cfg=dict(type="ReLU"), num_fcs=2),
        dict(norm_cfg=dict(type="LN"), final_norm=True, with_cls_token=False),
        dict(norm_cfg=dict(type="LN"), patch_bias=True, qkv_bias=False),
        dict(norm_cfg=dict(type="LN"), patch_bias=False, patch_norm=False, pre_norm=False),
        dict(norm_cfg=dict(type="LN"), output_cls_token=True, frozen_exclude=["all"]),
        dict(norm_cfg=dict(type="LN"), interpolate_mode="bilinear", size=(64, 32)),
        dict(norm_cfg=dict(type="LN"), interpolate_mode="bicubic", size=(50, 70)),
    ],
)
def test_what_is_served_equals_mmseg(options: dict) -> None:
    equal_to_mmseg(**options)


def test_dropout_is_where_mmseg_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every dropout scales in place of dropping, so that both classes can be compared."""
    monkeypatch.setattr(
        nn.functional, "dropout", lambda x, p=0.5, training=True, inplace=False: x * (1 - p)
    )
    equal_to_mmseg(norm_cfg=dict(type="LN"), drop_rate=0.3)
    model = FDAMVisionTransformer(**VIT, attn_drop_rate=0.3)
    assert [block.attn.attn_drop for block in model.blocks] == [0.3, 0.3]


def test_final_norm_of_an_imagenet_file(tmp_path: Path) -> None:
    """Of a classifier's file it is the norm before the head; without a final norm it is unused."""
    source = FDAMVisionTransformer(**VIT, with_cls_token=True)
    state = {**source.state_dict(), "norm.weight": torch.rand(24), "norm.bias": torch.rand(24)}
    state["head.weight"] = torch.zeros(2, 24)
    torch.save(dict(model=state), tmp_path / "deit.pth")
    for final_norm in (True, False):
        model = FDAMVisionTransformer(
            **VIT, final_norm=final_norm, pretrained=str(tmp_path / "deit.pth")
        )
        model.init_weights()
        if final_norm:
            assert torch.equal(model.final_norm.weight, state["norm.weight"])


CONFIGS = {
    "vit/vit_vit-b16_mln_upernet_8xb2-80k_ade20k-512x512.py": "FDAMVisionTransformer",
    "vit/vit_deit-s16-ln_mln_upernet_8xb2-160k_ade20k-512x512.py": "FDAMVisionTransformer",
    "setr/setr_vit-l_pup_8xb2-160k_ade20k-512x512.py": "FDAMVisionTransformer",
    "setr/setr_vit-l-mla_8xb1-160k_ade20k-512x512.py": "FDAMVisionTransformer",
    "segmenter/segmenter_vit-s_fcn_8xb1-160k_ade20k-512x512.py": "FDAMVisionTransformer",
    "dpt/dpt_vit-b16_8xb2-160k_ade20k-512x512.py": "FDAMVisionTransformer",
    "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py": "FDAMMixVisionTransformer",
}


@pytest.mark.parametrize(("name", "kind"), CONFIGS.items())
def test_a_shipped_config_with_another_type(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(
        f'_base_ = "mmseg::{name}"\nmodel = dict(backbone=dict(type="{kind}"))\n'
    )
    model = read_config(str(tmp_path / "config.py"), {}).model
    pretrained = model.pretrained
    if kind == "FDAMVisionTransformer":
        num_outs = len(model.backbone.get("out_indices", range(4)))
        model = Config(_replaced(model, {**NARROW, model.backbone.embed_dims: 48}))
        model.backbone.update(num_layers=4, num_heads=3, img_size=(64, 64))
        model.backbone.out_indices = list(range(num_outs))
    else:
        model = Config(_replaced(model, {"SyncBN": "BN"}))
        model.backbone.num_layers = [1] * 4
    init_default_scope("mmseg")
    register_toolkit("mmseg")
    model.data_preprocessor.size = (64, 64)
    segmentor = MODELS.build(model)
    named = pretrained and dict(type="Pretrained", checkpoint=pretrained)
    assert segmentor.backbone.init_cfg == model.backbone.get("init_cfg", named)
    label = SegDataSample(
        gt_sem_seg=PixelData(data=torch.zeros(1, 64, 64, dtype=torch.long)),
        metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64), pad_shape=(64, 64)),
    )
    losses = segmentor.train().loss(torch.randn(2, 3, 64, 64), [label, label])
    assert all(x.isfinite().all() for k, x in losses.items() if "loss" in k)


NARROW = {512: 64, 256: 32, 128: 16, "SyncBN": "BN"}


def _replaced(cfg: Any, others: dict) -> Any:
    """``cfg`` with other values in place of some."""
    if isinstance(cfg, dict):
        return {key: _replaced(value, others) for key, value in cfg.items()}
    if isinstance(cfg, list | tuple):
        return [_replaced(value, others) for value in cfg]
    return others.get(cfg, cfg)


AUTHORS_LSKNET = dict(
    embed_dims=[8, 16, 16, 16],
    img_size=1024,
    in_chans=3,
    drop_rate=0.1,
    drop_path_rate=0.1,
    depths=[1, 1, 1, 1],
    mlp_ratios=[8, 8, 4, 4],
    num_stages=4,
    pretrained=None,
    init_cfg=None,
    norm_cfg=None,
    norm_eval=False,
    act_cfg=dict(type="GELU"),
)


def test_the_authors_lsknet() -> None:
    assert len(LSKNet(**AUTHORS_LSKNET)(torch.randn(2, 3, 64, 64))) == 4


@pytest.mark.parametrize("tiny", [TIMM, TIMM_CNN], ids=["vit", "cnn"])
def test_words_for_a_model_of_timm(tiny: dict) -> None:
    words = dict(
        norm_cfg=None,
        act_cfg=None,
        norm_eval=False,
        out_shape="NCHW",
        interpolate_mode="bicubic",
        output_cls_token=False,
        final_norm=False,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        in_chans=3,
        frozen_exclude=["all"],
    )
    assert len(FDAMTimmBackbone(**tiny, **words)(torch.randn(1, 3, 64, 64))) == 1


@pytest.mark.parametrize(
    ("index", "options"),
    [
        *[(0, {name: True}) for name in ("out_origin", "patch_norm", "pre_norm")],
        (0, dict(patch_pad="same")),
        (0, dict(num_fcs=3)),
        (0, dict(frozen_exclude=["pos_embed"])),
        (0, dict(interpolate_mode="nearest")),
        (0, dict(norm_cfg=dict(type="BN"))),
        (0, dict(norm_cfg=dict(type="Nothing"))),
        (0, dict(norm_cfg=dict(eps=1))),
        (0, dict(act_cfg=dict(type="Nothing"))),
        (0, dict(out_shape="NLC")),
        (0, dict(output_cls_token=True)),
        (0, dict(img_size=(1, 2, 3))),
        (0, dict(img_size="224")),
        (0, dict(img_size=8)),
        (0, dict(pretrained=True)),
        (0, dict(num_layers=2.0)),
        (0, dict(num_layers=True)),
        (0, dict(layer_scale_init="1e-4")),
        (0, dict(mlp_ratio=-1)),
        (0, dict(mlp_ratio=float("nan"))),
        (0, dict(out_indices="all")),
        (0, dict(out_indices=(0.5,))),
        (0, dict(frozen_stages="all")),
        (1, dict(num_layers=2)),
        (1, dict(num_heads=(1, 2, 2, 0))),
        (1, dict(strides=(4, 2, 2, "2"))),
        (1, dict(patch_norm=False)),
        (1, dict(norm_cfg=dict(type="BN"))),
        (2, dict(depths=3)),
        (2, dict(mlp_ratios=(8, 8, 4, "4"))),
        (2, dict(in_chans=4)),
        (2, dict(norm_eval=True)),
        (2, dict(norm_cfg=dict(type="LN"))),
        (2, dict(act_cfg=dict(type="ReLU"))),
        (3, dict(norm_cfg=dict(type="LN"))),
        (3, dict(act_cfg=dict(type="GELU"))),
        (3, dict(norm_eval=True)),
        (3, dict(num_layers=2)),
        (3, dict(frozen="blocks")),
        (3, dict(pretrained=1)),
        (3, dict(model_name=3)),
        (3, dict(pad_multiple=0)),
        (3, dict(embed_dim="a")),
        *[(i, dict(drop_path_rate=rate)) for i in range(4) for rate in (2.0, -0.1, "a", [0.1])],
        *[(i, dict(drop_rate=1.5)) for i in range(4)],
        *[(i, dict(in_channels=0)) for i in range(4)],
        *[(i, dict(with_cp="yes")) for i in range(4)],
        *[(i, dict(embed_dims="a")) for i in range(3)],
        *[(i, dict(num_headz=1)) for i in range(4)],
    ],
    ids=str,
)
def test_refused_by_name(index: int, options: dict) -> None:
    backbone, tiny = OURS[index]
    (name,) = options
    with pytest.raises(ConfigError, match=name) as error:
        backbone(**{**tiny, **options})
    assert "\n" not in str(error.value)
