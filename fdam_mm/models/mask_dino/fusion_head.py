"""From the predictions of Mask DINO to instances, panoptic segments and class maps.

Legend of the shape comments: Q queries, K classes, n results, H x W the image.
"""

from collections.abc import Mapping
from typing import Any

import torch
from mmdet.models.seg_heads.panoptic_fusion_heads import BasePanopticFusionHead
from mmdet.structures import INSTANCE_OFFSET, SampleList
from mmengine.registry import MODELS
from mmengine.structures import InstanceData, PixelData
from torch import Tensor
from torch.nn import functional as F

from fdam_mm.layers.autocast import at_least_float32, float32_island

from .structures import Prediction, to_pixels

SETTINGS = dict(
    instance_on=True,
    panoptic_on=False,
    semantic_on=False,
    max_per_image=100,
    focus_on_box=False,
    object_mask_thr=0.25,
    iou_thr=0.8,
    rescore=True,
    temperature=0.06,
)
"""``test_cfg`` and its defaults, see :class:`MaskDINOFusionHead`."""


@MODELS.register_module()
class MaskDINOFusionHead(BasePanopticFusionHead):
    """Post-processing of Mask DINO (arXiv 2206.02777).

    Sigmoid class scores are meant for detection and blunt for segmentation, so panoptic and
    semantic results rescore them: ``softmax(sigmoid(logits) / temperature)`` over the classes.

    Args:
        num_things_classes: Classes with instances, the first labels.
        num_stuff_classes: Classes without, the labels after them.
        test_cfg: ``instance_on``, ``panoptic_on``, ``semantic_on``: which results;
            ``max_per_image`` instances; ``focus_on_box``: an instance's score is its class score
            alone, without the mean probability inside its mask; ``object_mask_thr``: smallest
            class score of a panoptic segment; ``iou_thr``: smallest share of its mask that a
            segment keeps; ``rescore`` and its ``temperature``.
        softmax: Logits are of K classes and of no object, see :class:`MaskDINOHead`; for semantic
            results alone.

    Raises:
        ValueError: ``test_cfg`` has an unknown setting, or asks for instances or panoptic segments
            from a softmax.
    """

    def __init__(
        self,
        num_things_classes: int = 80,
        num_stuff_classes: int = 0,
        test_cfg: Mapping[str, Any] | None = None,
        softmax: bool = False,
    ) -> None:
        unknown = sorted(set(test_cfg or {}) - set(SETTINGS))
        if unknown:
            raise ValueError(f"test_cfg has no setting {unknown}; it has {sorted(SETTINGS)}")
        test_cfg = {**SETTINGS, **(test_cfg or {})}
        if softmax and (test_cfg["instance_on"] or test_cfg["panoptic_on"]):
            raise ValueError(
                "a softmax over classes gives semantic results alone: set instance_on=False and "
                "panoptic_on=False in test_cfg"
            )
        super().__init__(num_things_classes, num_stuff_classes, test_cfg)
        self.softmax = softmax

    def loss(self) -> dict[str, Tensor]:
        """There is none."""
        return {}

    def predict(
        self, prediction: Prediction, samples: SampleList, rescale: bool = True
    ) -> list[dict[str, InstanceData | PixelData]]:
        """Post-process a batch.

        Args:
            prediction: Masks as logits on any grid over the padded batch.
            samples: ``img_shape``, ``ori_shape`` and ``batch_input_shape`` of each image.
            rescale: Results for the original image, else for the resized one.

        Returns:
            Per image ``ins_results``, ``pan_results`` and ``sem_results``, as ``test_cfg`` says.
        """
        with float32_island(prediction.masks):
            parts = zip(*map(at_least_float32, prediction), samples, strict=True)
            return [self._predict_image(*part, rescale) for part in parts]

    def _predict_image(
        self, logits: Tensor, boxes: Tensor, masks: Tensor, sample: Any, rescale: bool
    ) -> dict[str, InstanceData | PixelData]:
        batch, inner = tuple(sample.batch_input_shape), sample.img_shape[:2]
        size = sample.ori_shape[:2] if rescale else inner
        # boxes are relative to the padded image; this is its size in the result's pixels
        padded = [p * s / i for p, s, i in zip(batch, size, inner, strict=True)]
        instance, panoptic, semantic = (
            self.test_cfg[f"{kind}_on"] for kind in ("instance", "panoptic", "semantic")
        )
        if semantic and not (instance or panoptic):  # the classes' maps are cropped, not the masks
            maps = self._class_maps(logits, _resize(masks, batch))
            maps = _crop_and_resize(maps, inner, size)
            return dict(sem_results=PixelData(sem_seg=maps.argmax(0, keepdim=True)))
        if not semantic:  # spares most of the large masks
            used = self._used_queries(logits)
            logits, boxes, masks = logits[used], boxes[used], masks[used]
        masks = _crop_and_resize(_resize(masks, batch), inner, size)
        results = {}
        if panoptic:
            results["pan_results"] = self.panoptic_postprocess(logits, masks)
        if instance:
            results["ins_results"] = self.instance_postprocess(
                logits, masks, to_pixels(boxes, padded)
            )
        if semantic:
            results["sem_results"] = self.semantic_postprocess(logits, masks)
        return results

    def _used_queries(self, logits: Tensor) -> Tensor:
        """Which queries can take part in an instance or a panoptic segment, (Q,) bool."""
        scores = logits.sigmoid()
        used = scores.new_zeros(len(scores), dtype=torch.bool)
        if self.test_cfg["panoptic_on"]:
            used |= scores.amax(-1) > self.test_cfg["object_mask_thr"]
        if self.test_cfg["instance_on"]:
            number = min(self.test_cfg["max_per_image"], scores.numel())
            used[scores.flatten().topk(number).indices // scores.shape[1]] = True
        return used

    def instance_postprocess(self, logits: Tensor, masks: Tensor, boxes: Tensor) -> InstanceData:
        """The best pairs of query and class, only things.

        Args:
            logits: (Q, K).
            masks: (Q, H, W) logits.
            boxes: (Q, 4), x1 y1 x2 y2 in pixels.

        Returns:
            ``scores`` (n,), ``labels`` (n,), ``bboxes`` (n, 4) as predicted, and bool ``masks``
            (n, H, W); sorted by the class score.
        """
        scores = logits.sigmoid().flatten()
        scores, best = scores.topk(min(self.test_cfg["max_per_image"], len(scores)))
        query, labels = best // logits.shape[1], best % logits.shape[1]
        things = labels < self.num_things_classes
        scores, query, labels = scores[things], query[things], labels[things]
        masks = masks[query]
        inside = masks > 0
        if not self.test_cfg["focus_on_box"]:
            probability = (masks.sigmoid() * inside).flatten(1).sum(1)
            scores = scores * probability / (inside.flatten(1).sum(1) + 1e-6)
        return InstanceData(scores=scores, labels=labels, bboxes=boxes[query], masks=inside)

    def panoptic_postprocess(self, logits: Tensor, masks: Tensor) -> PixelData:
        """Every pixel to the segment with the largest product of score and mask probability.

        Args:
            logits: (Q, K).
            masks: (Q, H, W) logits.

        Returns:
            ``sem_seg`` (1, H, W) int32: label + 1000 * instance, as mmdet's metric reads it;
            instances count from 1, stuff has 0; pixels of no segment hold K.
        """
        segments = torch.full(
            masks.shape[-2:], self.num_classes, dtype=torch.int32, device=masks.device
        )
        keep = logits.sigmoid().amax(-1) > self.test_cfg["object_mask_thr"]
        scores, labels = self._rescore(logits[keep]).max(-1)
        probability = masks[keep].sigmoid()
        if len(labels) == 0:
            return PixelData(sem_seg=segments[None])
        owner = (scores[:, None, None] * probability).argmax(0)  # (H, W)
        inside = probability >= 0.5
        num_instances = 0
        for index, label in enumerate(labels.tolist()):
            won = owner == index
            segment = won & inside[index]
            if not segment.any() or won.sum() < self.test_cfg["iou_thr"] * inside[index].sum():
                continue
            if label < self.num_things_classes:
                num_instances += 1
                label += num_instances * INSTANCE_OFFSET
            segments[segment] = label
        return PixelData(sem_seg=segments[None])

    def semantic_postprocess(self, logits: Tensor, masks: Tensor) -> PixelData:
        """The class with the largest sum of score times mask probability over the queries.

        Args:
            logits: (Q, K).
            masks: (Q, H, W) logits.

        Returns:
            ``sem_seg`` (1, H, W): the class of each pixel.
        """
        return PixelData(sem_seg=self._class_maps(logits, masks).argmax(0, keepdim=True))

    def _class_maps(self, logits: Tensor, masks: Tensor) -> Tensor:
        """(Q, K) and (Q, H, W) -> (K, H, W)."""
        return torch.einsum("qk,qhw->khw", self._rescore(logits), masks.sigmoid())

    def _rescore(self, logits: Tensor) -> Tensor:
        """Scores (Q, K) for dense results."""
        if self.softmax:
            return logits.softmax(-1)[:, :-1]
        scores = logits.sigmoid()
        if self.test_cfg["rescore"]:
            scores = (scores / self.test_cfg["temperature"]).softmax(-1)
        return scores


def _crop_and_resize(masks: Tensor, inner: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Masks (Q, ...) of the padded batch: without the padding, resized to ``size``."""
    return _resize(masks[:, : inner[0], : inner[1]], size)


def _resize(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks (n, h, w) -> (n, *size); n may be 0."""
    masks = masks[:, None]
    return F.interpolate(masks, size=tuple(size), mode="bilinear", align_corners=False)[:, 0]
