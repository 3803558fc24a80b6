"""The module that is exported of Oriented R-CNN: to the boxes before rotated suppression.

Legend of the shape comments: P proposals, K classes, C channels, N candidates of all levels.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import nms

from fdam_mm.errors import ExportError
from fdam_mm.runtime.description import Description, Size

from .core import Core
from .preparing import Preparation
from .roi_align import pool_rotated


class RawOriented(Core):
    """Normalised (1, 3, H, W) -> boxes (1, P, 5) and scores (1, P, K).

    Boxes are cx, cy, w, h in pixels of the input and the angle in radians, clockwise. A proposal
    that was suppressed has scores of 0. One picture at a time: suppression of proposals is of one.
    """

    task = "rotated"
    compared = ("boxes", "scores")

    def _results(self, x: Tensor) -> tuple[Tensor, ...]:
        return self._detected(x, (x.shape[2], x.shape[3]))

    def _detected(self, x: Tensor, inner: Size) -> tuple[Tensor, Tensor]:
        """Of an input whose ``inner`` pixels at the top left are the picture."""
        model: Any = self.model
        feats = model.extract_feat(x)
        proposals, valid = propose(model.rpn_head, feats, model.test_cfg.rpn)
        head, extractor = model.roi_head.bbox_head, model.roi_head.bbox_roi_extractor
        layers = extractor.roi_layers
        pooled = pool_rotated(
            feats[: len(layers)], proposals, [layer.spatial_scale for layer in layers],
            extractor.finest_scale, layers[0].output_size, layers[0].sampling_ratio,
        )  # fmt: skip
        logits, deltas = head(pooled)
        boxes = head.bbox_coder.decode(proposals, deltas, max_shape=inner)
        scores = logits.softmax(-1)[:, :-1] * valid[:, None]
        return getattr(boxes, "tensor", boxes)[None], scores[None]


class Oriented(RawOriented):
    """A picture (1, h, w, 3) uint8 BGR -> what :class:`RawOriented` gives, in its pixels.

    Args:
        model: Oriented R-CNN of mmrotate.
        about: Its description.
        size: Of the input, see :class:`Preparation`.
        probes: As of :class:`Core`.
    """

    def __init__(
        self, model: nn.Module, about: Description, size: Size | None, probes: Sequence[str] = ()
    ) -> None:
        super().__init__(model, probes)
        self.prepare = Preparation(about, size)
        self._inner: Size = (0, 0)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        self._inner = self.prepare.fitted(image.shape[1], image.shape[2])
        (boxes, scores), probed = self._computed(self.prepare(image))
        factors = image.shape[2] / self._inner[1], image.shape[1] / self._inner[0]
        across, down = (torch.full((), factor, dtype=boxes.dtype) for factor in factors)
        cx, cy, width, height, angle = boxes.unbind(-1)
        cosine, sine = angle.cos(), angle.sin()
        width = width * ((across * cosine) ** 2 + (down * sine) ** 2).sqrt()
        height = height * ((across * sine) ** 2 + (down * cosine) ** 2).sqrt()
        angle = torch.atan2(across * sine, down * cosine)  # as mmrotate's rescale_
        boxes = torch.stack([cx * across, cy * down, width, height, angle], dim=-1)
        return boxes, scores, *probed

    def _results(self, x: Tensor) -> tuple[Tensor, ...]:
        return self._detected(x, self._inner)


def require_known(model: Any) -> None:
    """Raises ExportError where the detector has parts without an ONNX operator."""
    parts = [getattr(model, "rpn_head", None), getattr(model, "roi_head", None)]
    extractor = getattr(parts[1], "bbox_roi_extractor", None)
    layer = next(iter(getattr(extractor, "roi_layers", ())), None)
    found = [type(part).__name__ for part in (*parts, extractor, layer)]
    known = ["OrientedRPNHead", "StandardRoIHead", "RotatedSingleRoIExtractor", "RoIAlignRotated"]
    if found != known:
        raise ExportError(
            f"{type(model).__name__} of mmrotate cannot be exported: ONNX has no operator for "
            f"what its heads do; expected Oriented R-CNN, whose parts are {', '.join(known)}"
        )


def propose(head: Any, feats: Sequence[Tensor], settings: Any) -> tuple[Tensor, Tensor]:
    """What :class:`OrientedRPNHead` proposes of one picture, always as many.

    Returns:
        Boxes (P, 5), best first, and (P,) 0 for those that fill up, else 1.
    """
    logits, deltas = head(feats)
    sizes = [(level.shape[2], level.shape[3]) for level in logits]
    anchors = head.prior_generator.grid_priors(sizes, dtype=feats[0].dtype, device="cpu")
    boxes, scores, levels = [], [], []
    for index, (logit, delta, anchor) in enumerate(zip(logits, deltas, anchors, strict=True)):
        anchor = getattr(anchor, "tensor", anchor)
        score = logit[0].permute(1, 2, 0).flatten().sigmoid()
        delta = delta[0].permute(1, 2, 0).reshape(-1, 6)
        number = anchor.shape[0]
        if 0 < settings.nms_pre < number:
            score, best = score.topk(settings.nms_pre)
            delta, anchor, number = delta[best], anchor[best], settings.nms_pre
        boxes.append(midpoint_boxes(anchor, delta, head.bbox_coder))
        scores.append(score)
        levels.append(torch.full((number,), float(index)))
    box, score = torch.cat(boxes), torch.cat(scores)  # (N, 5), (N,)
    inside = (box[:, 2:4] > settings.min_bbox_size).all(1)
    score = torch.where(inside, score, -1.0)
    upright = _upright(box)
    apart = upright + (torch.cat(levels) * (upright.max() + 1))[:, None]  # as batched_nms
    kept = nms(apart, score, settings.nms.iou_threshold)
    most = min(settings.max_per_img, box.shape[0])
    number = torch.full((), kept.shape[0], dtype=torch.long)
    kept = torch.cat([kept, torch.zeros(most, dtype=kept.dtype)])[:most]
    valid = (torch.arange(most) < number) & (score[kept] >= 0)
    return box[kept], valid.to(box.dtype)


def midpoint_boxes(anchors: Tensor, deltas: Tensor, coder: Any) -> Tensor:
    """Anchors (N, 4) and midpoint offsets (N, 6) -> boxes (N, 5), as ``MidpointOffsetCoder``.

    Its polygon is a rectangle, whose sides and angle are had without OpenCV.
    """
    means, stds = deltas.new_tensor(coder.means), deltas.new_tensor(coder.stds)
    dx, dy, dw, dh, da, db = (deltas * stds + means).unbind(-1)
    corners = anchors.unflatten(-1, (2, 2))  # (N, 2, 2)
    centre, (width, height) = corners.mean(1), (corners[:, 1] - corners[:, 0]).unbind(-1)
    limit = math.log(1000 / 16)
    cx, cy = centre[:, 0] + width * dx, centre[:, 1] + height * dy
    width, height = (
        side * change.clamp(-limit, limit).exp() for side, change in ((width, dw), (height, dh))
    )
    top = torch.stack([da.clamp(-0.5, 0.5) * width, -height / 2], dim=-1)  # from the centre
    right = torch.stack([width / 2, db.clamp(-0.5, 0.5) * height], dim=-1)
    lengths = torch.stack([top.norm(dim=-1), right.norm(dim=-1)])
    longest = lengths.amax(0)
    top, right = (v * (longest / n)[:, None] for v, n in zip((top, right), lengths, strict=True))
    along, across = right - top, right + top  # the sides, at right angles
    lengths = torch.stack([along.norm(dim=-1), across.norm(dim=-1)])
    longer = torch.where((lengths[0] > lengths[1])[:, None], along, across)  # the other may be 0
    angle = torch.atan2(longer[:, 1], longer[:, 0])
    start = -torch.pi / 2 if coder.angle_version == "le90" else -torch.pi / 4
    angle = (angle - start) % torch.pi + start
    return torch.stack([cx, cy, lengths.amax(0), lengths.amin(0), angle], dim=-1)


def _upright(boxes: Tensor) -> Tensor:
    """(N, 5) -> the upright boxes around them (N, 4)."""
    cosine, sine = boxes[:, 4].cos().abs(), boxes[:, 4].sin().abs()
    half = torch.stack([
        boxes[:, 2] * cosine + boxes[:, 3] * sine, boxes[:, 2] * sine + boxes[:, 3] * cosine
    ], dim=-1) / 2  # fmt: skip
    return torch.cat([boxes[:, :2] - half, boxes[:, :2] + half], dim=-1)
