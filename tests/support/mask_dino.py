"""A Mask DINO small enough for quick tests, and batches for it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData, PixelData
from torch import Tensor, nn

import fdam_mm.openmmlab  # noqa: F401  registers the models
from fdam_mm.toolkits.registration import register_toolkit

SIZE = (64, 96)  # of the padded batch


def small_mask_dino(
    pixel_decoder: dict[str, Any] | None = None,
    test_cfg: dict[str, Any] | None = None,
    **head: Any,
) -> nn.Module:
    """ResNet-18, 32 channels, 2 layers each, 20 queries, 100 points; in evaluation mode."""
    init_default_scope("mmdet")
    register_toolkit("mmdet")
    encoder = dict(num_layers=2, num_heads=4, num_points=2, feedforward_channels=48)
    decoder = dict(num_layers=2, num_heads=4, num_points=2, feedforward_channels=40)
    settings = dict(
        type="MaskDINOPixelDecoder",
        in_channels=(64, 128, 256, 512),
        feat_channels=32,
        out_channels=24,
        num_groups=8,
        encoder=encoder,
    )
    head = (
        dict(
            type="MaskDINOHead",
            num_things_classes=3,
            num_queries=20,
            pixel_decoder={**settings, **(pixel_decoder or {})},
            decoder=decoder,
            loss=dict(num_points=100),
        )
        | head
    )
    backbone = dict(type="ResNet", depth=18, norm_eval=True)
    torch.manual_seed(0)
    config = dict(type="MaskDINO", backbone=backbone, panoptic_head=head, test_cfg=test_cfg)
    return MODELS.build(config).eval()


def batch(
    counts: Sequence[int], num_classes: int = 3, stuff: Sequence[int] = ()
) -> tuple[Tensor, list[DetDataSample]]:
    """Noise pictures with ``counts`` boxes as objects, and stripes of the labels ``stuff``."""
    generator = torch.Generator().manual_seed(1)
    height, width = SIZE
    samples = []
    for count in counts:
        corner = torch.rand(count, 2, generator=generator) * torch.tensor(
            [width - 24, height - 24]
        )
        extent = 4 + torch.rand(count, 2, generator=generator) * 20
        boxes = torch.cat([corner, corner + extent], dim=1).round()
        masks = np.zeros((count, height, width), dtype=np.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
            mask[y1:y2, x1:x2] = 1
        labels = torch.randint(0, num_classes, (count,), generator=generator)
        sample = DetDataSample(
            metainfo=dict(
                img_shape=SIZE, batch_input_shape=SIZE, ori_shape=(height * 2, width * 2)
            )
        )
        sample.gt_instances = InstanceData(
            labels=labels, bboxes=boxes, masks=BitmapMasks(masks, height, width)
        )
        if stuff:
            region = torch.full((1, height, width), 255)
            for index, label in enumerate(stuff):
                region[:, index * 8 : index * 8 + 8] = label
            sample.gt_sem_seg = PixelData(sem_seg=region)
        samples.append(sample)
    return torch.randn(len(counts), 3, height, width, generator=generator), samples
