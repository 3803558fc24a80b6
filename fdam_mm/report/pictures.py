"""The best, the worst and the most different pictures of an evaluation, drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import nn

from fdam_mm.apis import predict
from fdam_mm.apis.inputs import find_pictures
from fdam_mm.apis.results import PanopticResult, Result, SegmentationResult
from fdam_mm.apis.results.panoptic import Segment
from fdam_mm.data.formats.segment_ids import segment_ids, with_png
from fdam_mm.data.pictures.labels import read_label_map
from fdam_mm.visualization.overlay import blend_labels, blend_masks, draw_boxes
from fdam_mm.visualization.rotated_boxes import draw_rotated_boxes

from .collecting import SCORE, true_objects
from .evaluating import Evaluation

_SIDE = 640  # pixels, the longer side of a drawing
_WRONG = (220, 30, 30)


@dataclass(frozen=True, eq=False)
class Panel:
    """A drawing with its title, (h, w, 3) uint8 RGB."""

    title: str
    pixels: np.ndarray


def extremes(scores: np.ndarray, most: int) -> tuple[list[int], list[int]]:
    """Pictures of the best and of the worst scores, none of them twice."""
    order = [int(i) for i in np.argsort(scores, kind="stable") if not np.isnan(scores[i])]
    most = min(most, -(-len(order) // 2))
    worst = order[:most]
    return [i for i in reversed(order[-most:]) if i not in worst] if most else [], worst


def true_panel(evaluation: Evaluation, index: int) -> Panel:
    """The picture with its labels."""
    info = evaluation.dataset.get_data_info(index)
    if info.get("segments_info") and info.get("seg_map_path"):
        return Panel("truth", _reduced(_true_segments(evaluation, index, info).draw()))
    canvas, factor = _canvas(evaluation, index)
    if evaluation.counts_pixels:
        labels = _at_size(_true_labels(evaluation, index), canvas)
        return Panel("truth", blend_labels(canvas, labels, evaluation.palette))
    return Panel("truth", _with_objects(canvas, factor, evaluation, index))


def predicted_panels(evaluation: Evaluation, index: int, model: nn.Module) -> list[Panel]:
    """The picture with what the model predicts; of a segmentor also where it is wrong."""
    file = evaluation.files[index]
    (result,) = predict(model, file, progress=False)
    if not isinstance(result, SegmentationResult):
        return [Panel("predicted", _reduced(_drawn(result)))]
    canvas, _ = _canvas(evaluation, index)
    labels = _at_size(result.labels, canvas)
    true = _at_size(_true_labels(evaluation, index), canvas)
    known = (true >= 0) & (true < len(evaluation.classes))
    grey = canvas.mean(axis=2, keepdims=True).repeat(3, axis=2)
    errors = np.where((known & (labels != true))[..., None], _WRONG, 0.35 * grey + 140)
    errors = np.where(known[..., None], errors, 255).astype(np.uint8)
    return [
        Panel("predicted", blend_labels(canvas, labels, evaluation.palette)),
        Panel("wrong in red, unlabelled white", errors),
    ]


def can_be_shown(evaluation: Evaluation) -> bool:
    """Whether the pictures are files of this machine."""
    return bool(evaluation.files) and Path(evaluation.files[0]).is_file()


def _true_labels(evaluation: Evaluation, index: int) -> np.ndarray:
    sample = evaluation.dataset[index]["data_samples"]
    return sample.gt_sem_seg.data.squeeze().numpy()


def _true_segments(evaluation: Evaluation, index: int, info: Mapping[str, Any]) -> PanopticResult:
    """The labels of a panoptic set as a model's result, so that both are drawn alike."""
    (picture,) = find_pictures(evaluation.files[index], evaluation.reads_bands)
    numbers = segment_ids(read_label_map(with_png(info["seg_map_path"])))
    ids = np.zeros(numbers.shape, np.int32)
    segments = []
    for number, segment in enumerate(info["segments_info"], 1):
        ids[numbers == segment["id"]] = number
        segments.append(Segment(number, segment["category"], bool(segment["is_thing"])))
    meta = evaluation.classes, evaluation.palette
    return PanopticResult(picture, *meta, None, ids, tuple(segments))


def _with_objects(
    canvas: np.ndarray, factor: float, evaluation: Evaluation, index: int
) -> np.ndarray:
    objects = true_objects(evaluation.dataset, index)
    labels = np.array([o["bbox_label"] for o in objects], np.int64)
    boxes = np.array([o["bbox"] for o in objects], np.float64) * factor
    if boxes.size and boxes.shape[1] == 8:
        return draw_rotated_boxes(canvas, boxes.reshape(-1, 4, 2), labels, evaluation.palette)
    masks = [_mask(o.get("mask"), canvas, factor) for o in objects]
    canvas = blend_masks(canvas, masks, labels, evaluation.palette)
    return draw_boxes(
        canvas, boxes.reshape(-1, 4), labels, None, evaluation.classes, evaluation.palette
    )


def _mask(mask: Any, canvas: np.ndarray, factor: float) -> np.ndarray:
    """(h, w) of polygons or run lengths in the pixels of the file; nothing of anything else."""
    drawn = np.zeros(canvas.shape[:2], np.uint8)
    if isinstance(mask, dict):
        from pycocotools import mask as coco_mask

        counts = mask["counts"]
        if isinstance(counts, list):
            mask = coco_mask.frPyObjects(mask, *mask["size"])
        return _at_size(coco_mask.decode(mask), canvas)
    for polygon in mask or ():
        points = np.array(polygon, np.float64).reshape(-1, 2) * factor
        cv2.fillPoly(drawn, [points.round().astype(np.int32)], 1)
    return drawn


def _drawn(result: Result) -> np.ndarray:
    shown = result.above(SCORE) if hasattr(result, "above") else result
    return shown.draw()


def _canvas(evaluation: Evaluation, index: int) -> tuple[np.ndarray, float]:
    """The picture in RGB, at most ``_SIDE`` large, and the factor from its pixels."""
    (picture,) = find_pictures(evaluation.files[index], evaluation.reads_bands)
    pixels, _ = picture.reduced(4 * _SIDE)
    pixels = _reduced(np.ascontiguousarray(pixels[..., ::-1]))
    return pixels, pixels.shape[1] / picture.size[1]


def _reduced(pixels: np.ndarray) -> np.ndarray:
    factor = _SIDE / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def _at_size(labels: np.ndarray, canvas: np.ndarray) -> np.ndarray:
    height, width = canvas.shape[:2]
    kept = labels.astype(np.int32)
    return cv2.resize(kept, (width, height), interpolation=cv2.INTER_NEAREST)


def largest_differences(scores: Sequence[np.ndarray], most: int) -> list[int]:
    """Pictures on which the runs' scores lie furthest apart."""
    spread = np.ptp(np.stack(scores), axis=0)
    order = np.argsort(-np.nan_to_num(spread), kind="stable")[:most]
    return [int(i) for i in order if spread[i] > 0]
