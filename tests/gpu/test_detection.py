"""Detectors on a GPU, whose operations are mmcv's own: losses, gradients and predictions."""

import copy

import pytest
import torch

pytest.importorskip("mmrotate")

from support.mask_dino import batch, small_mask_dino  # noqa: E402
from support.rotated_detector import rotated_batch, small_detector  # noqa: E402

from fdam_mm.oriented.float32_boxes import keep_boxes_in_float32  # noqa: E402

LSKNET = dict(embed_dims=(16, 32, 64, 64), depths=(1, 1, 1, 1), mlp_ratios=(2, 2, 2, 2))
precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)


@precisions
def test_mask_dino(dtype: torch.dtype, device: torch.device) -> None:
    model = small_mask_dino().train()
    images, samples = batch([2, 3])
    expected = model.loss(images, copy.deepcopy(samples))
    model.to(device)
    samples = [sample.to(device) for sample in samples]
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        losses = model.loss(images.to(device), samples)
    assert losses.keys() == expected.keys()
    total = sum(value for name, value in losses.items() if "loss" in name)
    total.backward()
    assert torch.isfinite(total)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@precisions
@pytest.mark.parametrize("detector", ["oriented-rcnn", "rotated-faster-rcnn", "s2anet"])
def test_rotated_boxes(detector: str, dtype: torch.dtype, device: torch.device) -> None:
    config = f"fdam-{detector}-le90_lsknet-s_fpn_1x_dota.py"
    model = small_detector(config, LSKNET).to(device)
    keep_boxes_in_float32(model)  # as a training does
    data = model.data_preprocessor(rotated_batch(), training=True)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        loss, logged = model.parse_losses(model(**data, mode="loss"))
    loss.backward()
    assert all(torch.isfinite(value) for value in logged.values())
    assert all(torch.isfinite(p.grad).all() for p in model.backbone.parameters())
    model.eval()
    with torch.no_grad():
        found = model(**model.data_preprocessor(rotated_batch()), mode="predict")[0].pred_instances
    assert found.bboxes.device.type == device.type and torch.isfinite(found.scores).all()
