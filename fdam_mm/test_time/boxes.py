"""Merging the boxes that a detector finds in the views of a picture, upright or rotated.

Legend of the shape comments: N boxes, D numbers of a box: 4 corners, 5 rotated or 8 of a quad.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.ops import batched_nms
from mmengine.config import ConfigDict
from mmengine.model import BaseTTAModel
from mmengine.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor, nn

from fdam_mm.errors import ConfigError
from fdam_mm.toolkits.quiet import quiet

with quiet():
    from mmdet.structures import DetDataSample
    from mmdet.structures.bbox import get_box_type

_KINDS = {4: "hbox", 5: "rbox", 8: "qbox"}  # names of the toolkits for boxes of so many numbers
_NOT_MERGED = ("pred_panoptic_seg", "pred_sem_seg")


@MODELS.register_module()
class BoxTTA(BaseTTAModel):
    """All views' boxes, turned back and thinned out by NMS.

    For mmdet as its `DetTTAModel`; mmrotate has no such model.

    Args:
        module: The detector.
        tta_cfg: ``nms`` and ``max_per_img`` as in a detector's ``test_cfg``.
    """

    def __init__(self, module: Mapping[str, Any] | nn.Module, tta_cfg: Mapping[str, Any]) -> None:
        super().__init__(module=module)
        self.tta_cfg = ConfigDict(tta_cfg)

    def merge_preds(
        self, data_samples_list: Sequence[Sequence[DetDataSample]]
    ) -> list[DetDataSample]:
        """Of each picture's views the first that is not flipped, with the boxes of all.

        A single view keeps its boxes as they are: its detector has thinned them out.

        Raises:
            ConfigError: The detector predicts masks or segments too.
        """
        return [self._merge(views) for views in data_samples_list]

    def _merge(self, views: Sequence[DetDataSample]) -> DetDataSample:
        _require_boxes_alone(views[0])
        boxes = torch.cat([_turned_back(view) for view in views])  # (N, D)
        found = [view.pred_instances for view in views]
        scores = torch.cat([instances.scores for instances in found])  # (N,)
        labels = torch.cat([instances.labels for instances in found])  # (N,)
        if len(views) > 1 and len(boxes):
            kept, order = batched_nms(boxes, scores, labels, self.tta_cfg.nms)
            boxes, scores, labels = kept[:, :-1], kept[:, -1], labels[order]
        best = slice(self.tta_cfg.max_per_img)
        upright = (view for view in views if not view.metainfo.get("flip"))
        merged = next(upright, views[0])  # whose labels lie as the picture does
        merged.pred_instances = InstanceData(
            bboxes=boxes[best], scores=scores[best], labels=labels[best]
        )
        return merged


def _turned_back(view: DetDataSample) -> Tensor:
    """The boxes (N, D) as they lie in the picture itself."""
    found = view.pred_instances.bboxes
    if not view.metainfo.get("flip"):
        return found
    _, kind = get_box_type(_KINDS[found.shape[-1]])
    boxes = kind(found.clone())
    boxes.flip_(view.ori_shape, view.flip_direction)
    return boxes.tensor


def _require_boxes_alone(view: DetDataSample) -> None:
    others = [name for name in _NOT_MERGED if name in view]
    others += ["masks"] if "masks" in view.pred_instances else []
    if others:
        raise ConfigError(
            f"views are merged by their boxes alone, the model predicts {', '.join(others)} too; "
            "use it without test-time augmentation"
        )
