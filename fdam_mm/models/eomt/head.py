"""Matching and losses of EoMT: Mask2Former's, for mmdet and for mmseg."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.models.dense_heads import Mask2FormerHead
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.registry import TASK_UTILS
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor

from fdam_mm.errors import ConfigError
from fdam_mm.layers.autocast import at_least_float32, float32_island

from .predictor import Prediction

# mmdet's by name: where a segmentor is built, mmseg's have the names alone
ASSIGNER = dict(
    type="mmdet.HungarianAssigner",
    match_costs=[
        dict(type="mmdet.ClassificationCost", weight=2.0),
        dict(type="mmdet.CrossEntropyLossCost", weight=5.0, use_sigmoid=True),
        dict(type="mmdet.DiceCost", weight=5.0, pred_act=True, eps=1.0),
    ],
)
LOSS_CLS = dict(type="mmdet.CrossEntropyLoss", use_sigmoid=False, loss_weight=2.0)
LOSS_MASK = dict(type="mmdet.CrossEntropyLoss", use_sigmoid=True, loss_weight=5.0)
LOSS_DICE = dict(
    type="mmdet.DiceLoss",
    use_sigmoid=True,
    activate=True,
    naive_dice=True,
    eps=1.0,
    loss_weight=5.0,
)


@MODELS.register_module()
class EoMTHead(Mask2FormerHead):
    """The ``panoptic_head`` of mmdet's ``MaskFormer`` behind :class:`EoMT`: it has no weights.

    Every prediction, those between the last blocks too, is matched and compared as in
    Mask2Former, masks at sampled points; in float32 also under autocast.

    Args:
        num_things_classes: Classes with instances, the first labels.
        num_stuff_classes: Classes without, the labels after them.
        num_queries: As of :class:`EoMT`.
        no_object_weight: Of queries without an object, in the loss of classes.
        loss_cls, loss_mask, loss_dice: mmdet's configs of the terms.
        assigner: mmdet's config of the matching.
        num_points: Points per mask.
        oversample_ratio: Candidates per point when the uncertain ones are picked.
        importance_sample_ratio: Share of uncertain points.
        train_cfg, test_cfg, init_cfg: As for every head of mmdet; unused.
    """

    def __init__(
        self,
        num_things_classes: int = 80,
        num_stuff_classes: int = 0,
        num_queries: int = 200,
        no_object_weight: float = 0.1,
        loss_cls: Mapping[str, Any] = LOSS_CLS,
        loss_mask: Mapping[str, Any] = LOSS_MASK,
        loss_dice: Mapping[str, Any] = LOSS_DICE,
        assigner: Mapping[str, Any] = ASSIGNER,
        num_points: int = 12544,
        oversample_ratio: float = 3.0,
        importance_sample_ratio: float = 0.75,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        BaseModule.__init__(self, init_cfg)  # past Mask2FormerHead, which would build a decoder
        self.num_things_classes, self.num_stuff_classes = num_things_classes, num_stuff_classes
        self.num_classes = num_things_classes + num_stuff_classes
        self.num_queries = num_queries
        self.num_points, self.oversample_ratio = num_points, oversample_ratio
        self.importance_sample_ratio = importance_sample_ratio
        self.class_weight = [1.0] * self.num_classes + [no_object_weight]
        self.loss_cls = MMDET_MODELS.build({**loss_cls, "class_weight": self.class_weight})
        self.loss_mask = MMDET_MODELS.build(loss_mask)
        self.loss_dice = MMDET_MODELS.build(loss_dice)
        self.assigner = TASK_UTILS.build(assigner)
        self.sampler = TASK_UTILS.build(dict(type="mmdet.MaskPseudoSampler"))
        self.train_cfg, self.test_cfg = train_cfg, test_cfg

    def init_weights(self) -> None:
        """There are none."""

    def forward(
        self, x: Sequence[Prediction], batch_data_samples: Any = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Class and mask logits of all predictions, in float32, as mmdet's losses take them.

        Raises:
            ConfigError: They are of other classes or queries than the head's.
        """
        logits, masks, _ = zip(*x, strict=True)
        found, expected = tuple(logits[0].shape[1:]), (self.num_queries, self.num_classes + 1)
        if found != expected:
            raise ConfigError(
                f"model.backbone predicts {found[1] - 1} classes for {found[0]} queries, the head "
                f"is set to {expected[1] - 1} for {expected[0]}: set num_classes and num_queries "
                "of both alike"
            )
        return [at_least_float32(p) for p in logits], [at_least_float32(p) for p in masks]

    def loss_by_feat(
        self,
        all_cls_scores: list[Tensor],
        all_mask_preds: list[Tensor],
        batch_gt_instances: list,
        batch_img_metas: list[dict],
    ) -> dict[str, Tensor]:
        """Three terms per prediction; those between the blocks are named ``d0`` and on."""
        with float32_island(all_mask_preds[-1]):
            return super().loss_by_feat(
                all_cls_scores, all_mask_preds, batch_gt_instances, batch_img_metas
            )
