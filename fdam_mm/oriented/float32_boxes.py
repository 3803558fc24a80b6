"""Boxes in float32 under autocast."""

from typing import Any

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from torch import nn


def keep_boxes_in_float32(model: nn.Module) -> None:
    """Let a detector's neck and box heads give float32 also under autocast.

    mmdet makes anchors in the type of a head's outputs: in bf16 a coordinate of 1000 is a multiple
    of 4, and mmrotate's coders and RoI layers take no bf16 at all. The convolutions stay fast.
    """
    for name, module in model.named_modules():
        if name.rpartition(".")[2] == "neck" or isinstance(module, BaseDenseHead | BBoxHead):
            module.register_forward_hook(_to_float32)


def _to_float32(module: nn.Module, inputs: Any, outputs: Any) -> Any:
    if isinstance(outputs, torch.Tensor):
        low = outputs.dtype in (torch.float16, torch.bfloat16)
        return outputs.float() if low else outputs
    if isinstance(outputs, tuple | list):
        return type(outputs)(_to_float32(module, inputs, item) for item in outputs)
    return outputs
