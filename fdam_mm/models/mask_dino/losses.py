"""Matching and losses of Mask DINO.

Legend of the shape comments: B batch, Q queries, K classes, M matched pairs of the batch,
P sampled points, H x W the padded batch, h x w the grid of the mask features.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.ops import point_sample
from mmdet.models.utils import get_uncertain_point_coords_with_randomness
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor, nn

from fdam_mm.layers.autocast import at_least_float32, float32_island

from .denoising import denoising_pairs
from .structures import GroundTruth, Outputs, Prediction, to_pixels

Pairs = Sequence[tuple[Tensor, Tensor]]
"""Per image the indices of queries and of the objects that they are matched to."""

TERMS = ("loss_ce", "loss_mask", "loss_dice", "loss_bbox", "loss_giou")

ASSIGNER = dict(
    type="HungarianAssigner",
    match_costs=[
        dict(type="FocalLossCost", weight=4.0, eps=1e-8),
        dict(type="CrossEntropyLossCost", weight=5.0, use_sigmoid=True),
        dict(type="DiceCost", weight=5.0, pred_act=True, eps=1.0),
        dict(type="BBoxL1Cost", weight=5.0, box_format="xywh"),
        dict(type="IoUCost", weight=2.0, iou_mode="giou"),
    ],
)


class MaskDINOLoss(nn.Module):
    """Five terms for every prediction: classes, masks (cross-entropy and dice), boxes (L1, GIoU).

    Each prediction of the matching queries is matched anew; denoising queries know their object.
    Masks are compared at sampled points, three quarters of them where the prediction is least
    certain. All of it is computed in float32 also under autocast. With 9 decoder layers there are
    105 terms, under the official names and always all of them: those of denoising are zero where
    a batch has no denoising queries. Learned queries leave 95: there are no selected tokens, and
    the initial prediction of the denoising queries does not count.

    Args:
        num_classes: Classes K.
        softmax: Classes exclude each other, and a last logit, of weight 0.1, is no object;
            otherwise each class has a focal loss of its own.
        assigner: mmdet's config of the matching; its costs use the weights of the losses.
        loss_cls, loss_mask, loss_dice, loss_bbox, loss_iou: mmdet's configs of the terms.
        num_points: Points P per mask.
        oversample_ratio: Candidates per point when the uncertain ones are picked.
        importance_sample_ratio: Share of uncertain points.

    Raises:
        ValueError: ``loss_cls`` is no softmax where ``softmax`` says so, or the other way round.
    """

    def __init__(
        self,
        num_classes: int,
        softmax: bool = False,
        assigner: Mapping[str, Any] | None = None,
        loss_cls: Mapping[str, Any] | None = None,
        loss_mask: Mapping[str, Any] | None = None,
        loss_dice: Mapping[str, Any] | None = None,
        loss_bbox: Mapping[str, Any] | None = None,
        loss_iou: Mapping[str, Any] | None = None,
        num_points: int = 12544,
        oversample_ratio: float = 3.0,
        importance_sample_ratio: float = 0.75,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_points, self.oversample_ratio = num_points, oversample_ratio
        self.importance_sample_ratio = importance_sample_ratio
        self.assigner = TASK_UTILS.build(assigner or ASSIGNER)
        classes = dict(type="FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=4.0)
        if softmax:
            weights = [1.0] * num_classes + [0.1]
            classes = dict(type="CrossEntropyLoss", class_weight=weights, loss_weight=4.0)
        cross_entropy = dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=5.0)
        dice = dict(type="DiceLoss", naive_dice=True, eps=1.0, loss_weight=5.0)
        self.loss_cls = MODELS.build(loss_cls or classes)
        if self.loss_cls.use_sigmoid == softmax:
            raise ValueError(f"softmax={softmax} does not go with {self.loss_cls}")
        self.loss_mask = MODELS.build(loss_mask or cross_entropy)
        self.loss_dice = MODELS.build(loss_dice or dice)
        self.loss_bbox = MODELS.build(loss_bbox or dict(type="L1Loss", loss_weight=5.0))
        self.loss_iou = MODELS.build(loss_iou or dict(type="GIoULoss", loss_weight=2.0))

    def forward(self, outputs: Outputs, truths: Sequence[GroundTruth]) -> dict[str, Tensor]:
        """All terms: of the last layer without suffix, of layer i and the initial prediction
        ``_i``, of the selected tokens ``_interm``, and of the denoising queries ``_dn`` before."""
        layers = [_at_least_float32(prediction) for prediction in outputs.layers]
        total = layers[0].logits.new_tensor(float(sum(len(truth.labels) for truth in truths)))
        total = reduce_mean(total).clamp(min=1)
        names = [f"_{index}" for index in range(len(layers) - 1)] + [""]
        if outputs.selected is not None:
            layers.append(_at_least_float32(outputs.selected))
            names.append("_interm")
        losses = {}
        with float32_island(total):
            for name, prediction in zip(names, layers, strict=True):
                terms = self._terms(prediction, truths, self.match(prediction, truths), total)
                losses.update({f"{term}{name}": value for term, value in terms.items()})
            names = names[: len(outputs.layers)]
            denoising = self._denoising(outputs, names, truths, total)
        if outputs.selected is None:
            denoising = {k: v for k, v in denoising.items() if not k.endswith("_dn_0")}
        return losses | denoising

    def _denoising(
        self, outputs: Outputs, names: list[str], truths: Sequence[GroundTruth], total: Tensor
    ) -> dict[str, Tensor]:
        if outputs.denoising is None:
            return {f"{term}_dn{name}": total.new_zeros(()) for term in TERMS for name in names}
        num_queries = outputs.denoising[0].logits.shape[1]
        pairs = denoising_pairs(truths, num_queries, outputs.num_groups)
        losses = {}
        for name, prediction in zip(names, outputs.denoising, strict=True):
            prediction = _at_least_float32(prediction)
            terms = self._terms(prediction, truths, pairs, total * outputs.num_groups)
            losses.update({f"{term}_dn{name}": value for term, value in terms.items()})
        return losses

    @torch.no_grad()
    def match(self, prediction: Prediction, truths: Sequence[GroundTruth]) -> Pairs:
        """Hungarian matching of one layer's queries to the objects of each image."""
        return [self._match_image(*one) for one in zip(*prediction, truths, strict=True)]

    def _match_image(
        self, logits: Tensor, boxes: Tensor, masks: Tensor, truth: GroundTruth
    ) -> tuple[Tensor, Tensor]:
        if len(truth.labels) == 0:
            return truth.labels.new_zeros(0), truth.labels.new_zeros(0)
        size = truth.masks.shape[-2:]
        points = torch.rand((1, self.num_points, 2), device=logits.device)
        predicted = InstanceData(
            scores=_finite(logits),
            bboxes=to_pixels(_finite(boxes), size),
            masks=_finite(_sample(at_least_float32(masks), points)),
        )
        true = InstanceData(
            labels=truth.labels,
            bboxes=to_pixels(truth.boxes, size),
            masks=_sample(truth.masks.to(logits.dtype), points),
        )
        assigned = self.assigner.assign(predicted, true, img_meta=dict(img_shape=size)).gt_inds
        queries = assigned.nonzero().squeeze(1)
        return queries, assigned[queries] - 1

    def _terms(
        self, prediction: Prediction, truths: Sequence[GroundTruth], pairs: Pairs, total: Tensor
    ) -> dict[str, Tensor]:
        image = torch.cat([torch.full_like(query, i) for i, (query, _) in enumerate(pairs)])
        query = torch.cat([query for query, _ in pairs])  # (M,), as image
        chosen = [
            [part[index] for part in truth]
            for truth, (_, index) in zip(truths, pairs, strict=True)
        ]
        labels, boxes, masks = (torch.cat(parts) for parts in zip(*chosen, strict=True))
        classes = labels.new_full(prediction.logits.shape[:2], self.num_classes)  # (B, Q)
        classes[image, query] = labels
        loss_ce = self._class_term(prediction.logits.flatten(0, 1), classes.flatten(), total)
        loss_mask, loss_dice = self._mask_terms(prediction.masks[image, query], masks, total)
        predicted = prediction.boxes[image, query]
        size = truths[0].masks.shape[-2:]
        loss_bbox = self.loss_bbox(predicted, boxes, avg_factor=total)
        # In pixels, where GIoULoss's guard against a division by zero is far from any real area.
        loss_giou = self.loss_iou(
            to_pixels(predicted, size), to_pixels(boxes, size), avg_factor=total
        )
        terms = (loss_ce, loss_mask, loss_dice, loss_bbox, loss_giou)
        return dict(zip(TERMS, terms, strict=True))

    def _class_term(self, logits: Tensor, classes: Tensor, total: Tensor) -> Tensor:
        """Class logits against classes, K for no object; a focal loss is divided by the number of
        objects, a softmax's by the sum of the class weights."""
        if not self.loss_cls.use_sigmoid:
            weights = self.loss_cls.class_weight or [1.0] * (self.num_classes + 1)
            total = logits.new_tensor(weights)[classes].sum()
        return self.loss_cls(logits, classes, avg_factor=total)

    def _mask_terms(self, logits: Tensor, masks: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        """Mask logits (M, h, w) against masks (M, H, W) at sampled points."""
        if len(logits) == 0:
            return logits.sum(), logits.sum()
        logits = at_least_float32(logits)
        with torch.no_grad():
            points = get_uncertain_point_coords_with_randomness(
                logits.unsqueeze(1),
                None,
                self.num_points,
                self.oversample_ratio,
                self.importance_sample_ratio,
            )
            targets = _sample(masks.to(logits.dtype), points)  # (M, P)
        sampled = _sample(logits, points)
        loss_mask = self.loss_mask(sampled, targets, avg_factor=total * self.num_points)
        return loss_mask, self.loss_dice(sampled, targets, avg_factor=total)


def _sample(masks: Tensor, points: Tensor) -> Tensor:
    """Values of masks (n, H, W) at points (1 or n, P, 2), x y in 0..1: (n, P)."""
    return point_sample(masks.unsqueeze(1), points.expand(len(masks), -1, -1)).squeeze(1)


def _at_least_float32(prediction: Prediction) -> Prediction:
    """Logits and boxes in float32; masks are converted where they are sampled."""
    logits, boxes, masks = prediction
    return Prediction(at_least_float32(logits), at_least_float32(boxes), masks)


def _finite(values: Tensor) -> Tensor:
    """Without NaN and infinity, which the Hungarian method refuses; an overflow under AMP is for
    the loss scaler to handle, not a reason to stop."""
    return torch.nan_to_num(values, nan=0.0, posinf=1e4, neginf=-1e4)
