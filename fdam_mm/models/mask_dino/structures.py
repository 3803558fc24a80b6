"""What the parts of Mask DINO hand to each other.

Legend of the shape comments: B batch, Q queries, K classes, n objects of an image, H x W the
padded batch, h x w the grid of the mask features. Boxes are cx cy w h, relative to the padded
batch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh, get_box_tensor
from mmdet.structures.mask import mask2bbox
from torch import Tensor
from torch.nn import functional as F


class Prediction(NamedTuple):
    """What one layer predicts."""

    logits: Tensor  # (B, Q, K)
    boxes: Tensor  # (B, Q, 4)
    masks: Tensor  # (B, Q, h, w) logits

    def of(self, queries: slice) -> "Prediction":
        """The same for a part of the queries."""
        return Prediction(*(part[:, queries] for part in self))


class GroundTruth(NamedTuple):
    """The objects of one image, and its stuff regions."""

    labels: Tensor  # (n,)
    boxes: Tensor  # (n, 4)
    masks: Tensor  # (n, H, W) bool


class Outputs(NamedTuple):
    """What the head computes in a training step, and a part of it in evaluation."""

    layers: list[Prediction]  # the initial one and one per decoder layer; the last one, alone
    selected: Prediction | None  # of the selected tokens of the encoder
    denoising: list[Prediction] | None  # as ``layers``, of the denoising queries
    num_groups: int  # of denoising queries


def box_scale(size: tuple[int, int], like: Tensor) -> Tensor:
    """(4,): what turns relative boxes into pixels of an image ``size`` = (height, width)."""
    height, width = size
    return like.new_tensor([width, height, width, height])


def to_pixels(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Relative cx cy w h -> x1 y1 x2 y2 in pixels."""
    return bbox_cxcywh_to_xyxy(boxes) * box_scale(size, boxes)


def to_relative(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """x1 y1 x2 y2 in pixels -> relative cx cy w h."""
    return bbox_xyxy_to_cxcywh(boxes) / box_scale(size, boxes)


def ground_truths(
    samples: Sequence[DetDataSample], num_things: int, num_classes: int, device: torch.device
) -> list[GroundTruth]:
    """Objects of ``gt_instances``, then stuff regions of ``gt_sem_seg`` (labels from
    ``num_things`` to ``num_classes - 1``), where a sample has them.

    Raises:
        ValueError: A sample has objects and no masks of them.
    """
    return [_ground_truth(sample, num_things, num_classes, device) for sample in samples]


def _ground_truth(
    sample: DetDataSample, num_things: int, num_classes: int, device: torch.device
) -> GroundTruth:
    size = tuple(sample.batch_input_shape)
    labels = torch.zeros(0, dtype=torch.long, device=device)
    boxes = torch.zeros(0, 4, device=device)
    masks = torch.zeros(0, *size, dtype=torch.bool, device=device)
    objects = sample.gt_instances
    if len(objects.get("labels", ())) and "masks" not in objects:
        raise ValueError(
            f"{sample.get('img_path', 'a picture')} has objects without masks, which Mask DINO "
            "learns from: set with_mask=True where the pipeline loads annotations"
        )
    if "masks" in objects:
        labels = objects.labels.to(device)
        boxes = get_box_tensor(objects.bboxes).to(device).float()
        masks = _pad(objects.masks.to_tensor(torch.bool, device), size, value=False)
    if num_classes > num_things and "gt_sem_seg" in sample:
        region = _pad(sample.gt_sem_seg.sem_seg.to(device), size, value=num_classes)  # (1, H, W)
        present = region.unique().long()
        present = present[(present >= num_things) & (present < num_classes)]
        regions = region == present[:, None, None]
        labels = torch.cat([labels, present])
        boxes = torch.cat([boxes, mask2bbox(regions)])
        masks = torch.cat([masks, regions])
    return GroundTruth(labels, to_relative(boxes, size), masks)


def _pad(maps: Tensor, size: tuple[int, int], value: int | bool) -> Tensor:
    """(n, h, w) -> (n, *size), padded right and bottom."""
    height, width = size
    return F.pad(maps, (0, width - maps.shape[2], 0, height - maps.shape[1]), value=value)
