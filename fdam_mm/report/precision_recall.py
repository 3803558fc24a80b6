"""What the toolkits' AP is computed from, which their metrics keep to themselves."""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np


@dataclass(frozen=True)
class PrecisionRecall:
    """Of one kind of boxes or masks.

    Attributes:
        kind: ``bbox``, ``segm`` or ``rotated``.
        ap: A column of AP (K,) for each name, nan where a class has no object.
        curves: Recall and precision at IoU 0.5, by class.
    """

    kind: str
    ap: dict[str, np.ndarray]
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


@contextmanager
def kept_curves(scope: str, classes: Sequence[str]) -> Iterator[list[PrecisionRecall]]:
    """Collects what COCO's and mmrotate's evaluations accumulate inside, without a second run."""
    found: list[PrecisionRecall] = []
    with ExitStack() as patches:
        if scope != "mmseg":
            coco = importlib.import_module("mmdet.evaluation.metrics.coco_metric")
            for name in ("COCOeval", "COCOevalMP"):
                kept = _keeping(getattr(coco, name), classes, found)
                patches.enter_context(mock.patch.object(coco, name, kept))
        if scope == "mmrotate":
            dota = importlib.import_module("mmrotate.evaluation.metrics.dota_metric")
            rotated = _keeping_rotated(dota.eval_rbbox_map, classes, found)
            patches.enter_context(mock.patch.object(dota, "eval_rbbox_map", rotated))
        yield found


def _keeping(kind: type, classes: Sequence[str], found: list[PrecisionRecall]) -> type:
    class Kept(kind):  # type: ignore[misc]
        def accumulate(self, *args: Any, **kwargs: Any) -> None:
            super().accumulate(*args, **kwargs)
            if self.params.useCats:
                found.append(_of_coco(self, classes))

    return Kept


def _of_coco(evaluation: Any, classes: Sequence[str]) -> PrecisionRecall:
    # (IoU, recall, class, area, number of detections), -1 where a class has no object
    precisions = evaluation.eval["precision"][:, :, :, 0, -1]
    precisions = np.where(precisions < 0, np.nan, precisions)
    names = [c["name"] for c in evaluation.cocoGt.loadCats(evaluation.params.catIds)]
    order = [names.index(name) if name in names else -1 for name in classes]
    missing = np.full((*precisions.shape[:2], 1), np.nan)
    precisions = np.concatenate([precisions, missing], axis=2)[:, :, order]
    ious = np.round(evaluation.params.iouThrs, 2).tolist()
    ap = {"AP": precisions.mean(axis=(0, 1))}
    for iou in (0.5, 0.75):
        if iou in ious:
            ap[f"AP{round(100 * iou)}"] = precisions[ious.index(iou)].mean(axis=0)
    at = precisions[ious.index(0.5) if 0.5 in ious else 0]
    recalls = np.asarray(evaluation.params.recThrs)
    curves = {name: (recalls, at[:, k]) for k, name in enumerate(classes)}
    curves = {name: curve for name, curve in curves.items() if not np.isnan(curve[1]).all()}
    return PrecisionRecall(evaluation.params.iouType, ap, curves)


def _keeping_rotated(original: Any, classes: Sequence[str], found: list[PrecisionRecall]) -> Any:
    def evaluate(*args: Any, **kwargs: Any) -> Any:
        mean, results = original(*args, **kwargs)
        iou = kwargs.get("iou_thr", 0.5)
        values = [r["ap"] if r["num_gts"] else np.nan for r in results]
        ap = {f"AP{round(100 * iou)}": np.array(values, np.float64)}
        curves = {
            name: (np.asarray(r["recall"], float), np.asarray(r["precision"], float))
            for name, r in zip(classes, results, strict=True)
            if r["num_gts"] and np.ndim(r["recall"]) == 1
        }
        found.append(PrecisionRecall("rotated", ap, curves))
        return mean, results

    return evaluate
