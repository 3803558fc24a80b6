"""A small model of every kind that is exported, with random weights and FDAM's layers loud."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from fdam_mm.apis import load_model
from fdam_mm.layers import AttInv, FreqScale

from .paths import ROOT
from .staged_families import FAMILIES

SIZE = (64, 96)
FDAM = dict(att_inv=True, freq_scale=True)


def build(config: str, options: dict[str, Any]) -> nn.Module:
    """The model of a config below the root, with ``options`` that make it small."""
    torch.manual_seed(0)
    return loud(load_model(ROOT / config, device="cpu", options=options))


def loud(model: nn.Module) -> nn.Module:
    """FDAM's layers, which hardly act at the start, act as strongly as others."""
    for module in model.modules():
        if isinstance(module, AttInv | FreqScale):
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=0.3)
    return model


_PLAIN_VIT: dict[str, Any] = {
    "model.data_preprocessor.size": SIZE,
    "model.backbone.img_size": SIZE,
    "model.backbone.embed_dims": 32,
    "model.backbone.num_heads": 2,
    "model.backbone.num_layers": 4,
    "model.backbone.out_indices": (0, 1, 2, 3),
    "model.backbone.init_cfg": None,
    "model.decode_head.in_channels": [32] * 4,
    "model.decode_head.channels": 16,
    "model.auxiliary_head": None,
    "test_dataloader.dataset.pipeline": [dict(type="LoadImageFromFile")],
}


def deit() -> nn.Module:
    config = "configs/deit/fdam-deit-s16_upernet_8xb2-160k_ade20k-512x512.py"
    return build(config, _PLAIN_VIT)


def deit3() -> nn.Module:
    config = "configs/deit3/fdam-deit3-s16_upernet_4xb4-160k_ade20k-512x512.py"
    more = {"model.neck.embed_dims": 32, "model.backbone.layer_scale_init": 0.5}
    return build(config, {**_PLAIN_VIT, **more})


def segformer() -> nn.Module:
    """Of two stages."""
    stages = dict(
        embed_dims=16, num_stages=2, num_layers=[1, 1], num_heads=[1, 2], patch_sizes=[7, 3],
        strides=[4, 2], sr_ratios=[2, 1], out_indices=[0, 1],
    )  # fmt: skip
    head = dict(in_channels=[16, 32], in_index=[0, 1], channels=16)
    options = {f"model.backbone.{key}": value for key, value in stages.items()}
    options |= {f"model.decode_head.{key}": value for key, value in head.items()}
    options["model.data_preprocessor.size"] = SIZE
    return build("configs/demo/fdam-segformer_demo.py", options)


def segmentor(kind: str, channels: list[int], **settings: Any) -> nn.Module:
    """SegFormer's head on a backbone of stages, with FDAM."""
    options = {
        "model.data_preprocessor.size": SIZE,
        "model.backbone": dict(_delete_=True, type=kind, fdam=FDAM, **settings),
        "model.decode_head.in_channels": channels,
        "model.decode_head.channels": 16,
    }
    return build("configs/demo/segformer_demo.py", options)


def lsknet() -> nn.Module:
    dims = [16, 32, 32, 48]
    return segmentor("LSKNet", dims, embed_dims=tuple(dims), depths=(1, 1, 1, 1))


def of_family(name: str) -> nn.Module:
    """A family of stages of ``support.staged_families``."""
    kind, settings = FAMILIES[name]
    return segmentor(kind.__name__, [*settings["embed_dims"]], **settings)


def timm_swin() -> nn.Module:
    return segmentor(
        "FDAMTimmBackbone", [16, 32, 64, 128], model_name="swin_tiny_patch4_window7_224",
        embed_dim=16, depths=(2, 1, 2, 1), num_heads=(1, 2, 2, 4), window_size=4, img_size=SIZE,
        strict_img_size=False,
    )  # fmt: skip


def timm_dinov2() -> nn.Module:
    return segmentor(
        "FDAMTimmBackbone", [32] * 4, model_name="vit_small_patch14_reg4_dinov2",
        out_indices=(0, 1, 2, 3), embed_dim=32, depth=4, num_heads=2, patch_size=16, img_size=64,
        dynamic_img_size=True, init_values=0.5,
    )  # fmt: skip


def timm_pvt() -> nn.Module:
    dims = [16, 32, 32, 48]
    return segmentor(
        "FDAMTimmBackbone", dims, model_name="pvt_v2_b0", embed_dims=tuple(dims),
        depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 4),
    )  # fmt: skip


def eomt() -> nn.Module:
    return build("tests/support/tiny_eomt.py", {"model.data_preprocessor.size": SIZE})


_HEAD = "model.panoptic_head"
_LAYERS = dict(num_heads=2, num_points=2, feedforward_channels=32)


def mask_dino() -> nn.Module:
    """To instances alone; classes of all scores."""
    options = {
        "model.backbone.base_channels": 8,
        "model.backbone.norm_cfg.num_groups": 4,
        f"{_HEAD}.num_queries": 12,
        f"{_HEAD}.pixel_decoder.in_channels": [8, 16, 32, 64],
        f"{_HEAD}.pixel_decoder.feat_channels": 32,
        f"{_HEAD}.pixel_decoder.out_channels": 16,
        f"{_HEAD}.pixel_decoder.encoder": dict(num_layers=1, **_LAYERS),
        f"{_HEAD}.decoder": dict(num_layers=1, **_LAYERS),
        "model.test_cfg.panoptic_on": False,
        "model.test_cfg.max_per_image": 20,
    }
    model: Any = build("configs/demo/fdam-mask-dino_demo.py", options)
    nn.init.normal_(model.panoptic_head.cls_embed.weight)
    return model


def oriented_rcnn() -> nn.Module:
    """Whose proposals and scores are of all sizes."""
    options: dict[str, Any] = {
        "model.backbone.embed_dims": [16, 32, 32, 48],
        "model.backbone.depths": [1, 1, 1, 1],
        "model.neck.in_channels": [16, 32, 32, 48],
        "model.neck.out_channels": 16,
        "model.rpn_head.in_channels": 16,
        "model.rpn_head.feat_channels": 16,
        "model.roi_head.bbox_roi_extractor.out_channels": 16,
        "model.roi_head.bbox_head.in_channels": 16,
        "model.roi_head.bbox_head.fc_out_channels": 32,
        "model.test_cfg.rpn": dict(nms_pre=60, max_per_img=40),
        "test_dataloader.dataset.pipeline.1.scale": (96, 64),
    }
    model: Any = build("configs/demo/fdam-oriented-rcnn_lsknet_demo.py", options)
    nn.init.normal_(model.rpn_head.rpn_cls.weight, std=0.1)
    nn.init.normal_(model.rpn_head.rpn_reg.weight, std=0.02)  # no rectangles without a width
    for layer in (model.roi_head.bbox_head.fc_cls, model.roi_head.bbox_head.fc_reg):
        nn.init.normal_(layer.weight, std=0.3)
    return model


STAGED: dict[str, Callable[[], nn.Module]] = {
    "LSKNet": lsknet,
    **{kind.__name__: partial(of_family, name) for name, (kind, _) in FAMILIES.items()},
}
MODELS: dict[str, Callable[[], nn.Module]] = {
    "DeiT, UperNet": deit,
    "DeiT-III, UperNet": deit3,
    "SegFormer": segformer,
    **STAGED,
    "Swin of timm": timm_swin,
    "PVT v2 of timm": timm_pvt,
    "DINOv2 of timm": timm_dinov2,
    "EoMT on DINOv3": eomt,
    "Mask DINO": mask_dino,
    "Oriented R-CNN on LSKNet": oriented_rcnn,
}
"""By the name that the table of ``docs/export.md`` has; segmentors without a head's name have
SegFormer's."""


def refused_models() -> dict[str, Callable[[], nn.Module]]:
    """What ``fdam export`` refuses, by name."""
    lsknet_fpn = "configs/lsknet/fdam-{}-le90_lsknet-s_fpn_1x_dota.py"
    tiny = {"model.backbone.init_cfg": None}
    semantic = {"model.test_cfg": dict(instance_on=False, panoptic_on=False, semantic_on=True)}
    return {
        "S2ANet": partial(build, lsknet_fpn.format("s2anet"), tiny),
        "Rotated Faster R-CNN": partial(build, lsknet_fpn.format("rotated-faster-rcnn"), tiny),
        "Mask DINO, semantic": partial(build, "configs/demo/fdam-mask-dino_demo.py", semantic),
        "EoMT, panoptic": partial(build, "tests/support/tiny_eomt_panoptic.py", {}),
        "RetinaNet of mmdet": retinanet,
        "a test pipeline that rotates": partial(build, TINY, _pipeline(dict(type="RandomRotate"))),
        "a test pipeline of several scales": partial(
            build, TINY, _pipeline(dict(type="Resize", scale_factor=0.5))
        ),
        "windows with align_corners": partial(build, TINY, {
            "model.test_cfg": dict(mode="slide", crop_size=SIZE, stride=(32, 32)),
            "model.decode_head.align_corners": True,
        }),
    }  # fmt: skip


TINY = "tests/support/tiny.py"


def _pipeline(step: dict[str, Any]) -> dict[str, Any]:
    steps = [dict(type="LoadImageFromFile"), step, dict(type="PackSegInputs")]
    return {"test_dataloader.dataset.pipeline": steps}


def retinanet() -> nn.Module:
    """mmdet's own."""
    config = "tests/support/tiny_detector.py"
    return build(config, {})
