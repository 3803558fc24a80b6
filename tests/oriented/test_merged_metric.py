"""mAP on whole pictures, from patches."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from mmrotate.evaluation import DOTAMetric

from fdam_mm.errors import ResultsError
from fdam_mm.oriented.merged_metric import MergedDOTAMetric
from fdam_mm.toolkits.registration import register_toolkit

SHIP, HARBOR = (50.0, 30.0, 20.0, 8.0, 0.4), (90.0, 30.0, 16.0, 12.0, 0.2)


def sample(name: str, true: Sequence, found: Sequence) -> dict:
    """A patch: boxes with their labels; found ones with scores behind these."""
    true, found = np.reshape(true, (-1, 6)), np.reshape(found, (-1, 7))
    objects = dict(bboxes=torch.tensor(true[:, :5]), labels=torch.tensor(true[:, 5].astype(int)))
    none = dict(bboxes=torch.zeros(0, 5), labels=torch.zeros(0, dtype=torch.int64))
    predicted = dict(bboxes=torch.tensor(found[:, :5]), scores=torch.tensor(found[:, 6]))
    predicted["labels"] = torch.tensor(found[:, 5].astype(int))
    return dict(
        img_id=name, gt_instances=objects, ignored_instances=none, pred_instances=predicted
    )


def measured(metric: MergedDOTAMetric | DOTAMetric, samples: Sequence[dict]) -> dict[str, float]:
    register_toolkit("mmrotate")
    metric.dataset_meta = dict(classes=("ship", "harbor"))
    for each in samples:  # as batches of one
        metric.process(None, [each])
    return metric.evaluate(len(samples))


def moved(box: Sequence[float], left: float) -> tuple[float, ...]:
    return (box[0] - left, *box[1:])


def test_an_object_in_two_patches_counts_once() -> None:
    """The ship is found in one patch alone, and falsely where the harbor is."""
    samples = [
        sample("P__80__0___0", [(*SHIP, 0)], [(*SHIP, 0, 0.9)]),
        sample(
            "P__80__30___0",
            [(*moved(SHIP, 30), 0), (*moved(HARBOR, 30), 1)],
            [(*moved(HARBOR, 30), 1, 0.8), (*moved(HARBOR, 30), 0, 0.7)],
        ),
        sample("Q__80__0___0", [], []),
    ]
    assert measured(MergedDOTAMetric(eval_mode="area"), samples)["dota/mAP"] == 1
    assert measured(DOTAMetric(eval_mode="area"), samples)["dota/mAP"] == pytest.approx(0.75)


def test_equal_predictions_of_two_patches_compete() -> None:
    samples = [
        sample("P__80__0___0", [(*SHIP, 0), (*HARBOR, 0)], [(*SHIP, 0, 0.9), (*SHIP, 0, 0.8)]),
        sample("P__80__30___0", [(*moved(SHIP, 30), 0)], [(*moved(SHIP, 30), 0, 0.85)]),
    ]
    assert measured(MergedDOTAMetric(eval_mode="area"), samples)["dota/AP50"] == 0.5


def test_without_overlap_it_is_mmrotates() -> None:
    rng = np.random.default_rng(0)
    samples = []
    for index in range(6):
        boxes = rng.uniform([20, 20, 20, 10, -0.7], [400, 400, 60, 40, 0.7], (30, 5))
        labels = rng.integers(2, size=(30, 1))
        noisy = boxes + rng.normal(scale=[2, 2, 2, 2, 0.05], size=boxes.shape)
        found = np.column_stack([noisy, labels, rng.permutation(30) / 30])
        samples.append(sample(f"P{index}__448__0___0", np.hstack([boxes, labels]), found))
    ours = measured(MergedDOTAMetric(iou_threshold=0.999), samples)
    assert ours == measured(DOTAMetric(), samples)
    assert 0.2 < ours["dota/mAP"] < 1


def test_other_names_are_refused() -> None:
    with pytest.raises(ResultsError, match="PICTURE__SIZE__LEFT___TOP"):
        measured(MergedDOTAMetric(), [sample("P0006", [], [])])
