"""EoMT as a segmentor of mmseg and as a detector of mmdet."""

import re
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from support.eomt import DINOV3, PLAIN, image
from support.mask_dino import batch
from support.tools import ROOT
from torch import nn

from fdam_mm.toolkits.registration import register_toolkit

BACKBONE = dict(type="EoMT", fdam=dict(att_inv=True, freq_scale=True), **DINOV3, **PLAIN)


def segmentor(**test_cfg: Any) -> nn.Module:
    init_default_scope("mmseg")
    register_toolkit("mmseg")
    torch.manual_seed(0)
    return MODELS.build(
        ConfigDict(
            type="EncoderDecoder",
            backbone=BACKBONE,
            decode_head=dict(type="EoMTDecodeHead", num_classes=5, num_queries=7, num_points=50),
            test_cfg=dict(mode="whole") | test_cfg,
        )
    )


def detector(num_stuff: int) -> nn.Module:
    init_default_scope("mmdet")
    register_toolkit("mmdet")
    torch.manual_seed(0)
    classes = dict(num_things_classes=3, num_stuff_classes=num_stuff)
    return MODELS.build(
        ConfigDict(
            type="MaskFormer",
            backbone={**BACKBONE, "num_classes": 3 + num_stuff},
            panoptic_head=dict(type="EoMTHead", num_queries=7, num_points=50, **classes),
            panoptic_fusion_head=dict(
                type="MaskFormerFusionHead", loss_panoptic=None, init_cfg=None, **classes
            ),
            test_cfg=dict(
                panoptic_on=num_stuff > 0, semantic_on=False, instance_on=True, max_per_image=6,
                object_mask_thr=0.0, iou_thr=0.0, filter_low_score=True,
            ),
        )
    )  # fmt: skip


def test_the_config_that_the_docs_show() -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs/eomt.md").read_text(), re.DOTALL)
    shown: dict[str, Any] = {}
    exec(code[1], shown)
    init_default_scope("mmseg")
    register_toolkit("mmseg")
    with torch.device("meta"):
        model = MODELS.build(shown["model"])
    assert model.backbone.report.count("AttInv") == 12


def test_segmentor_learns() -> None:
    from mmseg.structures import SegDataSample

    model = segmentor().train()
    labels = torch.full((1, 40, 56), 255)
    labels[:, :20], labels[:, 20:30] = 3, 0
    samples = [SegDataSample(gt_sem_seg=PixelData(data=labels)) for _ in range(2)]
    samples[1].gt_sem_seg.data = torch.full_like(labels, 255)  # nothing to learn from
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    totals = []
    for _ in range(6):
        torch.manual_seed(0)
        losses = model(image(40, 56), samples, mode="loss")
        assert sorted(losses) == sorted(
            f"decode.{layer}loss_{kind}"
            for layer in ("", "d0.", "d1.") for kind in ("cls", "mask", "dice")
        )  # fmt: skip
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        assert not [n for n, p in model.named_parameters() if p.grad is None]
        optimizer.step()
        totals.append(float(total))
    assert totals[-1] < 0.9 * totals[0]


@pytest.mark.parametrize("mode", ["whole", "slide"])
def test_segmentor_predicts(mode: str) -> None:
    model = segmentor(mode=mode, crop_size=(48, 48), stride=(48, 48)).eval()
    metas = [dict(img_shape=(50, 90), ori_shape=(25, 45), pad_shape=(50, 90))] * 2
    with torch.no_grad():
        logits = model.inference(image(50, 90), metas)
    assert logits.shape == (2, 5, 50, 90)
    assert torch.isfinite(logits).all() and (logits >= 0).all()
    with torch.no_grad():
        assert model(image(50, 90))[0][-1].shape == (2, 7, 6)  # mode="tensor"


@pytest.mark.parametrize("num_stuff", [0, 2])
def test_detector(num_stuff: int) -> None:
    model = detector(num_stuff).train()
    images, samples = batch([3, 0], stuff=(3, 4)[:num_stuff])
    losses = model(images, samples, mode="loss")
    assert len(losses) == 9
    sum(losses.values()).backward()
    assert not [n for n, p in model.named_parameters() if p.grad is None]
    with torch.no_grad():
        results = model.eval()(images, samples, mode="predict")
    for result in results:
        instances = result.pred_instances
        assert len(instances) <= 6
        assert instances.masks.shape[1:] == (128, 192)  # of the original picture
        assert ("pred_panoptic_seg" in result) == (num_stuff > 0)
        if num_stuff:
            assert result.pred_panoptic_seg.sem_seg.shape == (1, 128, 192)


@pytest.mark.parametrize("dtype", [torch.bfloat16])
def test_losses_under_autocast_are_in_float32(dtype: torch.dtype) -> None:
    model = detector(2).train()
    images, samples = batch([3, 1], stuff=(3, 4))
    with torch.autocast("cpu", dtype=dtype):
        losses = model(images, samples, mode="loss")
    assert all(value.dtype == torch.float32 for value in losses.values())
    assert torch.isfinite(sum(losses.values()))
