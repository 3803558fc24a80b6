"""mAP of rotated boxes on whole pictures, from patches that a test sees one by one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from .boxes import OrientedBoxes
from .patches import IOU_THRESHOLD, merge_windows, parse_patch_name

_SAME = 0.8  # IoU of one object in two patches; corners are rounded to tenths of a pixel

Result = tuple[dict[str, np.ndarray], dict[str, Any]]  # true boxes and predictions of a patch


@METRICS.register_module()
class MergedDOTAMetric(BaseMetric):
    """mmrotate's mAP after patches are merged into their pictures.

    mmrotate's own ``DOTAMetric`` merges for a submission alone, and measures on patches: there an
    object that lies in two counts twice, and so does a false box. Here predictions compete as in
    ``fdam predict --tile``, and an object counts once. One that is in no patch, being cut by all,
    does not count, as it does not there.

    Args:
        iou_threshold: IoU at which the worse of two boxes of a class goes, in merging.
        **settings: Of ``DOTAMetric``, such as ``iou_thrs`` and ``eval_mode``; rotated boxes alone.

    Raises:
        ResultsError: A picture's name is not that of a patch, PICTURE__SIZE__LEFT___TOP.
    """

    default_prefix = "dota"

    def __init__(
        self,
        iou_threshold: float = IOU_THRESHOLD,
        collect_device: str = "cpu",
        prefix: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(collect_device, prefix)
        from mmrotate.evaluation.metrics import DOTAMetric

        self.iou_threshold = iou_threshold
        self._measure = DOTAMetric(**settings)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        self._measure.dataset_meta = self.dataset_meta
        self._measure.process(data_batch, data_samples)
        self.results += self._measure.results
        self._measure.results.clear()

    def compute_metrics(self, results: list[Result]) -> dict[str, float]:
        pictures: dict[str, list[tuple[tuple[int, int], Result]]] = defaultdict(list)
        for true, found in results:
            picture, (_, left, top) = parse_patch_name(found["img_id"])
            pictures[picture].append(((left, top), (true, found)))
        merged = [self._merge(name, windows) for name, windows in sorted(pictures.items())]
        return self._measure.compute_metrics(merged)

    def _merge(self, name: str, windows: Sequence[tuple[tuple[int, int], Result]]) -> Result:
        """One picture's windows, each with its left and top."""
        true: dict[str, np.ndarray] = {}
        for kind in ("", "_ignore"):
            every = [(at, _true_boxes(objects, kind)) for at, (objects, _) in windows]
            once = merge_windows(every, _SAME)
            true[f"bboxes{kind}"], true[f"labels{kind}"] = once.boxes, once.labels
        found = merge_windows(
            [(at, OrientedBoxes(*_arrays(boxes))) for at, (_, boxes) in windows],
            self.iou_threshold,
        )
        rows = np.column_stack([found.boxes, found.scores])
        by_class = [rows[found.labels == k] for k in range(len(self.dataset_meta["classes"]))]
        return true, dict(
            img_id=name, bboxes=found.boxes, scores=found.scores, labels=found.labels,
            pred_bbox_scores=by_class,
        )  # fmt: skip


def _arrays(found: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return found["bboxes"], found["scores"], found["labels"]


def _true_boxes(true: Mapping[str, np.ndarray], kind: str) -> OrientedBoxes:
    """Of a patch; a patch without any has no entries."""
    boxes = true.get(f"bboxes{kind}", np.zeros((0, 5))).reshape(-1, 5)
    labels = true.get(f"labels{kind}", np.zeros(0, np.int64))
    return OrientedBoxes(boxes, np.ones(len(boxes)), labels)
