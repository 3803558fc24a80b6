"""``apply_fdam`` on mmseg's and mmdet's own backbones and encoders."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from support.adapter_checks import Case, checked
from torch import Tensor, nn

pytest.importorskip("mmcv.ops")
mmseg = pytest.importorskip("mmseg.models.backbones")
mmdet = pytest.importorskip("mmdet.models")

_VIT = dict(embed_dims=48, num_layers=2, num_heads=3, img_size=64)
_SWIN = dict(
    embed_dims=24, depths=(2, 1, 1, 1), num_heads=(2, 4, 4, 4), window_size=4, drop_path_rate=0.1
)
_PYRAMID = dict(embed_dims=16, num_layers=(1, 1, 1, 1), num_heads=(1, 2, 4, 4))
_TWINS = dict(
    embed_dims=[16, 32, 32, 32], num_heads=[1, 2, 4, 4], depths=[1, 1, 1, 1],
    mlp_ratios=[2, 2, 2, 2],
)  # fmt: skip

_SVT = dict(windiow_sizes=[7, 7, 7, 7], sr_ratios=[8, 4, 2, 1], **_TWINS)
_SVT["depths"] = [2, 1, 1, 1]


def _last(model: nn.Module, image: Tensor) -> Tensor:
    return model(image)[-1]


def _all(model: nn.Module, image: Tensor) -> Tensor:
    """Of a pyramid; a map that is not returned has no part in it."""
    return torch.cat([level.flatten() for level in model(image)])


class _DeformableEncoder(nn.Module):
    """An encoder of mmdet over two levels, on pictures."""

    def __init__(self, name: str) -> None:
        super().__init__()
        attention = dict(embed_dims=32, num_heads=4, num_levels=2, dropout=0.0, batch_first=True)
        ffn = dict(embed_dims=32, feedforward_channels=48, ffn_drop=0.0)
        layer = dict(self_attn_cfg=attention, ffn_cfg=ffn)
        self.encoder = getattr(mmdet.layers, name)(num_layers=2, layer_cfg=layer)
        self.project = nn.Conv2d(3, 32, 8, stride=8)
        self.halve = nn.Conv2d(32, 32, 2, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        fine = self.project(image)
        levels = [fine, self.halve(fine)]
        x = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], dim=1)
        shapes = torch.tensor([level.shape[-2:] for level in levels])
        starts = torch.cat([shapes.new_zeros(1), shapes.prod(1).cumsum(0)[:-1]])
        ratios = torch.ones(1, 2, 2)
        encoder, more = self.encoder, {}
        if type(encoder) is not mmdet.layers.DeformableDetrTransformerEncoder:  # it makes its own
            points = encoder.get_encoder_reference_points(shapes, ratios, image.device)
            more = dict(reference_points=points)
        return encoder(
            query=x, query_pos=torch.full_like(x, 0.1), key_padding_mask=None,
            spatial_shapes=shapes, level_start_index=starts, valid_ratios=ratios,
            **more,
        )  # fmt: skip


CASES = {
    "vit": Case(partial(mmseg.VisionTransformer, **_VIT), 2, 4, odd_size=(32, 80), run=_last),
    "vit without class token": Case(
        partial(mmseg.VisionTransformer, with_cls_token=False, **_VIT), 2, 4, run=_last
    ),
    "beit": Case(partial(mmseg.BEiT, init_values=0.1, **_VIT), 2, 4, run=_last),
    "mae": Case(partial(mmseg.MAE, **_VIT), 2, 4, run=_last),
    "swin": Case(partial(mmseg.SwinTransformer, **_SWIN), 5, 10, odd_size=(68, 132), run=_all),
    "swin of mmdet": Case(
        partial(mmdet.SwinTransformer, **_SWIN), 5, 10, odd_size=(68, 132), run=_all
    ),
    "twins pcpvt": Case(
        partial(mmseg.PCPVT, **_TWINS), 4, 8, odd_size=(64, 96), run=_all, reduced=3
    ),
    "twins svt": Case(
        partial(mmseg.SVT, **_SVT), 5, 10, odd_size=(64, 96), run=_all, reduced=3,
    ),
    "mit": Case(
        partial(mmseg.MixVisionTransformer, **_PYRAMID), 4, 8, odd_size=(52, 84), run=_all,
        reduced=3,
    ),
    "pvt": Case(
        partial(mmdet.PyramidVisionTransformer, pretrain_img_size=64, **_PYRAMID), 4, 8, run=_all,
        reduced=3,
    ),
    "pvt_v2": Case(
        partial(mmdet.PyramidVisionTransformerV2, **_PYRAMID), 4, 8, odd_size=(52, 84), run=_all,
        reduced=3,
    ),
    "deformable detr, dino": Case(
        partial(_DeformableEncoder, "DeformableDetrTransformerEncoder"), 2, 4, odd_size=(64, 96),
        reduced=2, export=False,
    ),
    "mask2former": Case(
        partial(_DeformableEncoder, "Mask2FormerTransformerEncoder"), 2, 4, odd_size=(64, 96),
        reduced=2, export=False,
    ),
}  # fmt: skip


@checked(CASES)
def test_adapter(case: Case, check: Callable[[Case], None]) -> None:
    check(case)
