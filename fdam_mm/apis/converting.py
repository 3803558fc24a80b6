"""From the toolkits' data samples to results, of whole pictures and of merged tiles."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from torch import Tensor

from fdam_mm.errors import UsageError
from fdam_mm.oriented.boxes import OrientedBoxes
from fdam_mm.oriented.patches import merge_windows
from fdam_mm.visualization.colours import full_palette

from .building import reduces_zero_label
from .picture import Picture
from .results import InstanceResult, OrientedResult, PanopticResult, Result, SegmentationResult
from .results.panoptic import Segment
from .tiles.grid import TileGrid
from .tiles.instances import Found, merge
from .tiles.panoptic import Seams
from .tiles.segmentation import blend_rows

_OFFSET = 1000  # mmdet's panoptic maps: label + 1000 * number of the instance


class Converter:
    """Makes results of a model's data samples.

    Args:
        model: With ``dataset_meta`` and ``cfg``, as :func:`fdam_mm.apis.load_model` gives them.
    """

    def __init__(self, model: Any) -> None:
        meta = model.dataset_meta
        self._model = model
        self._classes = tuple(str(name) for name in meta.get("classes") or ())
        self._palette = full_palette(meta.get("palette"), len(self._classes))
        self._offset = int(reduces_zero_label(model.cfg))
        num_things = len(meta.get("thing_classes") or ())  # the first ones
        self._things = frozenset(range(num_things)) or None

    @property
    def label_type(self) -> type:
        """Of label maps."""
        return np.uint8 if len(self._classes) <= 256 else np.uint16

    def __call__(self, picture: Picture, sample: Any) -> Result:
        """The result of a whole picture."""
        sample = sample.cpu()
        common = (picture, self._classes, self._palette, sample)
        if "pred_panoptic_seg" in sample:
            ids, label_of = self._segments(sample)
            return PanopticResult(*common, ids, self._listed(label_of), self._things)
        if "pred_sem_seg" in sample:
            return self._segmentation(picture, sample)
        if "pred_instances" not in sample:
            raise UsageError(f"predict knows no result in {list(sample.keys())}")
        instances = sample.pred_instances
        if instances.bboxes.shape[-1] == 5:
            return OrientedResult(*common, _oriented(instances))
        boxes, scores, labels = _arrays(instances)
        order = np.argsort(-scores, kind="stable")
        rles = _rles(instances, picture.size, (0, 0))
        rles = None if rles is None else [rles[i] for i in order]
        return InstanceResult(*common, boxes[order], scores[order], labels[order], rles)

    def blend(
        self, picture: Picture, samples: Iterable[Any], grid: TileGrid, labels: np.ndarray
    ) -> SegmentationResult:
        """The result of a segmented picture's tiles; ``labels`` (H, W) is filled."""
        logits = (sample.seg_logits.data for sample in samples)
        blend_rows(logits, grid, self._decide, labels)
        return SegmentationResult(
            picture, self._classes, self._palette, None, labels, self._offset
        )

    def merge(
        self, picture: Picture, samples: Iterator[tuple[int, Any]], grid: TileGrid
    ) -> Result:
        """The result of a picture's tiles with objects or segments."""
        corners = [(left, top) for top in grid.tops for left in grid.lefts]
        common = (picture, self._classes, self._palette, None)
        first = next(samples)
        everything = chain([first], samples)
        if "pred_panoptic_seg" in first[1]:
            return self._sewn(picture, everything, grid)
        if first[1].pred_instances.bboxes.shape[-1] == 5:
            parts = [(corners[i], _oriented(s.cpu().pred_instances)) for i, s in everything]
            return OrientedResult(*common, merge_windows(parts))
        found = _moved(picture, everything, corners)
        merged = merge(found, grid.windows())
        return InstanceResult(*common, merged.boxes, merged.scores, merged.labels, merged.rles)

    def _decide(self, logits: Tensor) -> np.ndarray:
        """As mmseg: the best class, or a threshold where there is one logit."""
        if logits.shape[0] > 1:
            return logits.argmax(0).cpu().numpy()
        threshold = self._model.decode_head.threshold
        return (logits.sigmoid() > threshold)[0].int().cpu().numpy()

    def _segmentation(self, picture: Picture, sample: Any) -> SegmentationResult:
        data = sample.pred_sem_seg
        labels = (data.data if "data" in data else data.sem_seg)[0].numpy()
        labels = labels.astype(self.label_type)
        return SegmentationResult(
            picture, self._classes, self._palette, sample, labels, self._offset
        )

    def _segments(self, sample: Any) -> tuple[np.ndarray, dict[int, int]]:
        """Numbers from 1 (H, W), 0 where there is no segment, and the label of each."""
        raw = sample.pred_panoptic_seg.sem_seg[0].numpy()
        values, ids = np.unique(raw, return_inverse=True)
        labels = values % _OFFSET
        known = labels < len(self._classes)
        numbers = np.where(known, np.cumsum(known), 0).astype(np.int32)
        found = {int(n): int(v) for n, v, k in zip(numbers, labels, known, strict=True) if k}
        return numbers[ids.reshape(raw.shape)], found

    def _sewn(
        self, picture: Picture, samples: Iterable[tuple[int, Any]], grid: TileGrid
    ) -> PanopticResult:
        seams = Seams(np.zeros(picture.size, np.int32))
        for index, sample in samples:
            row, column = divmod(index, len(grid.lefts))
            ids, labels = self._segments(sample.cpu())
            margins = (
                grid.lefts[column - 1] + grid.width - grid.lefts[column] if column else 0,
                grid.tops[row - 1] + grid.height - grid.tops[row] if row else 0,
            )
            corner = (grid.lefts[column], grid.tops[row])
            things = {number: self._is_thing(label) for number, label in labels.items()}
            seams.add(ids, labels, things, corner, margins)
        listed = self._listed(seams.labels)
        common = picture, self._classes, self._palette, None
        return PanopticResult(*common, seams.ids, listed, self._things)

    def _is_thing(self, label: int) -> bool:
        return self._things is None or label in self._things

    def _listed(self, labels: Mapping[int, int]) -> tuple[Segment, ...]:
        return tuple(Segment(n, label, self._is_thing(label)) for n, label in labels.items())


def _moved(
    picture: Picture, samples: Iterable[tuple[int, Any]], corners: list[tuple[int, int]]
) -> Found:
    """The objects of all tiles in the pixels of the picture."""
    boxes, scores, labels, tiles, rles = [], [], [], [], []
    has_masks = False
    for index, sample in samples:
        instances = sample.cpu().pred_instances
        own, score, label = _arrays(instances)
        masks = _rles(instances, picture.size, corners[index])
        has_masks = has_masks or masks is not None
        boxes.append(own + np.tile(np.array(corners[index], np.float32), 2))
        scores.append(score)
        labels.append(label)
        tiles.append(np.full(len(own), index))
        rles += masks or []
    return Found(
        np.concatenate(boxes), np.concatenate(scores), np.concatenate(labels),
        np.concatenate(tiles), rles if has_masks else None,
    )  # fmt: skip


def _arrays(instances: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        instances.bboxes.float().numpy(),
        instances.scores.float().numpy(),
        instances.labels.numpy().astype(np.int64),
    )


def _oriented(instances: Any) -> OrientedBoxes:
    boxes, scores, labels = _arrays(instances)
    order = np.argsort(-scores, kind="stable")
    return OrientedBoxes(boxes, scores, labels).select(order)


def _rles(
    instances: Any, size: tuple[int, int], corner: tuple[int, int]
) -> list[dict[str, Any]] | None:
    """Masks as run lengths over a picture of ``size``, moved to ``corner``; None without masks."""
    if "masks" not in instances:
        return None
    left, top = corner
    found = []
    for mask in instances.masks:
        whole = np.zeros(size, np.uint8, order="F")
        height, width = mask.shape
        whole[top : top + height, left : left + width] = np.asarray(mask, np.uint8)
        found.append(coco_mask.encode(whole))
    return found
