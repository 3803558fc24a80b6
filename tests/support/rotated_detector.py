"""A small detector of rotated boxes, and a batch for it."""

from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData
from torch import nn

import fdam_mm.openmmlab  # noqa: F401  registers the models
from fdam_mm.toolkits.registration import register_toolkit
from support.tools import ROOT


def small_detector(config: str, backbone: dict[str, Any]) -> nn.Module:
    """A detector of configs/lsknet/ with few channels; ``backbone`` are settings of LSKNet."""
    config = Config.fromfile(ROOT / "configs/lsknet" / config)
    init_default_scope("mmrotate")
    register_toolkit("mmrotate")
    model = config.model
    model.backbone.update(backbone, norm_cfg=dict(type="BN"), init_cfg=None)
    model.neck.update(in_channels=list(backbone["embed_dims"]))
    if "rpn_head" in model:
        model.neck.out_channels = model.roi_head.bbox_roi_extractor.out_channels = 16
        model.rpn_head.update(in_channels=16, feat_channels=16)
        model.roi_head.bbox_head.update(in_channels=16, fc_out_channels=32)
        model.test_cfg.rcnn.score_thr = 0.0
        for proposals in (model.train_cfg.rpn_proposal, model.test_cfg.rpn):
            proposals.update(nms_pre=100, max_per_img=50)
    else:
        model.test_cfg.update(score_thr=0.0, nms_pre=100, max_per_img=50)
    return MODELS.build(model)


def rotated_batch() -> dict[str, list[Any]]:
    """Two pictures of noise with two boxes each."""
    from mmdet.structures import DetDataSample
    from mmrotate.structures.bbox import RotatedBoxes

    boxes = torch.tensor([[30.0, 40.0, 24.0, 12.0, 0.5], [90.0, 60.0, 40.0, 16.0, -0.3]])
    labels = torch.tensor([0, 3])
    shape = dict(img_shape=(96, 128), ori_shape=(96, 128), scale_factor=(1.0, 1.0))
    sample = DetDataSample(metainfo=shape | dict(img_id=0, pad_shape=(96, 128)))
    sample.gt_instances = InstanceData(bboxes=RotatedBoxes(boxes), labels=labels)
    sample.ignored_instances = InstanceData(bboxes=RotatedBoxes(boxes[:0]), labels=labels[:0])
    return dict(inputs=[torch.randint(0, 256, (3, 96, 128))] * 2, data_samples=[sample, sample])
