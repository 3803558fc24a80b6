"""``apply_fdam`` on mmpretrain's backbones, where it is installed."""

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from support.adapter_checks import Case, checked
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.toolkits.optional import importable

pytest.importorskip("mmcv.ops")
if not importable(
    "mmpretrain.models"
):  # also where its multimodal part is broken by transformers 5
    pytest.skip("needs mmpretrain", allow_module_level=True)
backbones = importlib.import_module("mmpretrain.models.backbones")

_ARCH = dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96)
_VIT = dict(arch=_ARCH, img_size=64, patch_size=16, out_type="raw")
_SWIN = dict(
    arch=dict(embed_dims=24, depths=[2, 1, 1, 1], num_heads=[2, 4, 4, 4]), img_size=64,
    window_size=4, pad_small_map=True, out_indices=(0, 1, 2, 3),
)  # fmt: skip
_VAN = dict(arch=dict(embed_dims=[16, 32, 32, 32], depths=[1, 1, 1, 1], ffn_ratios=[2, 2, 2, 2]))


def _vit(name: str, **settings: Any) -> nn.Module:
    model = getattr(backbones, name)(**settings)
    for part in model.modules():
        if hasattr(part, "scaled_dot_product_attention"):
            part.scaled_dot_product_attention = _attention  # which the checks replace
    return model


def _attention(*args: Any, **kwargs: Any) -> Tensor:
    return F.scaled_dot_product_attention(*args, **kwargs)


def _all(model: nn.Module, image: Tensor) -> Tensor:
    return torch.cat([level.flatten() for level in model(image)])


CASES = {
    "vit": Case(partial(_vit, "VisionTransformer", **_VIT), 2, 4, odd_size=(32, 80), run=_all),
    "vit, SwiGLU and LayerScale": Case(
        partial(
            _vit, "VisionTransformer", layer_cfgs=dict(ffn_type="swiglu_fused"),
            layer_scale_init_value=0.1, with_cls_token=False, **{**_VIT, "out_type": "featmap"},
        ), 2, 4, odd_size=(32, 80), run=_all,
    ),
    "deit-iii": Case(partial(_vit, "DeiT3", **_VIT), 2, 4, odd_size=(32, 80), run=_all),
    "swin": Case(
        partial(backbones.SwinTransformer, **_SWIN), 5, 10, odd_size=(68, 132), run=_all
    ),
    "van": Case(
        partial(backbones.VAN, **_VAN), 0, 8, odd_size=(68, 132), run=_all,
        apply=dict(att_inv=False),
    ),
}  # fmt: skip


@checked(CASES)
def test_adapter(case: Case, check: Callable[[Case], None]) -> None:
    check(case)
