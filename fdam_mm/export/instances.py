"""The module that is exported of Mask DINO: to its queries, and to instances.

Legend of the shape comments: B batch, Q queries, K classes, n instances, h x w the picture.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.runtime.description import Description, Size

from .core import Core
from .preparing import Preparation


class RawMaskDINO(Core):
    """Normalised (B, 3, H, W) -> logits (B, Q, K), query_boxes (B, Q, 4), query_masks.

    Boxes are cx, cy, w, h in 0..1 of the input, masks (B, Q, H / 4, W / 4) logits over it.
    """

    task = "instances"
    compared = ("logits", "query_boxes", "query_masks")

    def _results(self, x: Tensor) -> tuple[Tensor, ...]:
        model: Any = self.model
        return tuple(model.panoptic_head.predict(model.extract_feat(x)))


class MaskDINOInstances(RawMaskDINO):
    """Pictures (B, h, w, 3) uint8 BGR -> instances, best first, and what :class:`RawMaskDINO` has.

    ``boxes`` (B, n, 4) left, top, right, bottom in pixels; ``scores`` (B, n); ``labels`` (B, n);
    ``masks`` (B, n, h, w) uint8. A label of -1 is no instance: stuff.

    Args:
        model: A :class:`MaskDINO`.
        about: Its description.
        size: Of the input, see :class:`Preparation`.
        probes: As of :class:`Core`.
    """

    def __init__(
        self, model: nn.Module, about: Description, size: Size | None, probes: Sequence[str] = ()
    ) -> None:
        super().__init__(model, probes)
        self._size = size
        self.prepare = Preparation(about, size)

    @property
    def outputs(self) -> list[str]:
        return ["boxes", "scores", "labels", "masks", *super().outputs]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x = self.prepare(image)
        results, probed = self._computed(x)
        padded, size = (x.shape[2], x.shape[3]), (image.shape[1], image.shape[2])
        fitted = self.prepare.fitted(*size)
        return *self._instances(results, padded, fitted, size), *results, *probed

    def _instances(
        self, results: tuple[Tensor, ...], padded: Size, inner: Size, size: Size
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As :class:`MaskDINOFusionHead`, of a whole batch.

        Args:
            results: As :class:`RawMaskDINO` gives them.
            padded: Of the input.
            inner: Of the picture in it.
            size: Of the picture itself.
        """
        model: Any = self.model
        logits, boxes, masks = results
        fusion = model.panoptic_fusion_head
        settings, num_things = fusion.test_cfg, fusion.num_things_classes
        number = min(settings["max_per_image"], logits.shape[1] * logits.shape[2])
        scores, best = logits.sigmoid().flatten(1).topk(number)  # (B, n)
        query, labels = best // logits.shape[2], best % logits.shape[2]
        height, width = padded[0] * size[0] / inner[0], padded[1] * size[1] / inner[1]
        centre, sides = boxes.gather(1, query[..., None].expand(-1, -1, 4)).chunk(2, dim=-1)
        sides_of = [torch.full((), side, dtype=boxes.dtype) for side in (width, height)]
        corners = torch.cat([centre - sides / 2, centre + sides / 2], dim=-1) * torch.stack(
            sides_of * 2
        )
        shape = (-1, -1, masks.shape[2], masks.shape[3])
        masks = masks.gather(1, query[..., None, None].expand(*shape))
        masks = _resize(_resize(masks, padded)[:, :, : inner[0], : inner[1]], size)
        inside = masks > 0
        if not settings["focus_on_box"]:
            probability = (masks.sigmoid() * inside).flatten(2).sum(2)
            scores = scores * probability / (inside.flatten(2).sum(2) + 1e-6)
        labels = torch.where(labels < num_things, labels, -1)
        return corners, scores, labels, inside.to(torch.uint8)


def _resize(masks: Tensor, size: Size) -> Tensor:
    return F.interpolate(masks, size, mode="bilinear", align_corners=False)
