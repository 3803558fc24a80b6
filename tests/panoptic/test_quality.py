"""PQ by COCO's rules: a case worked by hand, mmdet's copy of them, torchmetrics, panopticapi."""

from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.evaluation.functional import panoptic_utils
from support.coco import write_ids

from fdam_mm.data.formats.segment_ids import segment_ids
from fdam_mm.panoptic.loading import read_segment_ids
from fdam_mm.panoptic.quality import Segments, panoptic_quality, pq_counts

K = 5


def rows(*parts: list[tuple[int, int]]) -> np.ndarray:
    """Rows of 10 pixels from (id, length) pairs."""
    return np.array([np.repeat(*zip(*row, strict=True)) for row in parts])


def segments(ids: np.ndarray, labels: dict[int, int], crowd: tuple[int, ...] = ()) -> Segments:
    keys = np.array(list(labels), dtype=int)
    return Segments(ids, keys, np.array(list(labels.values()), int), np.isin(keys, crowd))


def by_hand() -> tuple[Segments, Segments]:
    """Class 0 to 1 are things, 2 is stuff, 3 is never true and 4 is not there at all."""
    true = rows(
        [(11, 6), (0, 4)],  # found; two void pixels are taken off the union: IoU 1
        [(12, 8), (0, 2)],  # IoU 4/8 is no match: missed, and a wrong prediction
        [(13, 10)],  # a crowd of class 1 excuses a prediction of class 1
        [(14, 10)],  # a crowd of class 0 does not
        [(15, 5), (0, 5)],  # exactly half void: a wrong prediction; 15 is missed
        [(13, 4), (0, 6)],  # more than half void: excused
        [(17, 10)],  # stuff, IoU 0.9
        [(18, 10)],  # missed, where nothing is predicted
        [(99, 10)],  # of no segment, but not void: a wrong prediction of class 3
        [(20, 6), (14, 4)],  # a crowd stays in the union: IoU 0.6
    )
    pred = rows(
        [(1, 8), (0, 2)],
        [(2, 4), (0, 6)],
        [(3, 6), (0, 4)],
        [(4, 6), (0, 4)],
        [(5, 10)],
        [(6, 10)],
        [(7, 9), (0, 1)],
        [(0, 10)],
        [(8, 10)],
        [(9, 10)],
    )
    labels = {11: 0, 12: 0, 13: 1, 14: 0, 15: 1, 17: 2, 18: 0, 20: 0}
    predicted = {1: 0, 2: 0, 3: 1, 4: 1, 5: 0, 6: 0, 7: 2, 8: 3, 9: 0}
    return segments(true, labels, crowd=(13, 14)), segments(pred, predicted)


def test_case_worked_by_hand() -> None:
    counts = pq_counts(*by_hand(), K)
    expected = [[1.6, 2, 2, 2], [0, 0, 1, 1], [0.9, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(counts, expected)
    quality = panoptic_quality(counts)
    assert quality == pytest.approx(
        dict(pq=(0.4 + 0 + 0.9 + 0) / 4, sq=(0.8 + 0.9) / 4, rq=(0.5 + 1) / 4, n=4)
    )
    assert panoptic_quality(counts[2:3]) == pytest.approx(dict(pq=0.9, sq=0.9, rq=1, n=1))
    assert np.isnan(panoptic_quality(counts[4:])["pq"])


def test_without_any_segment() -> None:
    void = segments(np.zeros((4, 5), int), {})
    pred = segments(np.ones((4, 5), int), {1: 2})
    assert pq_counts(void, void, K).sum() == 0
    assert pq_counts(void, pred, K).sum() == 0  # all void
    np.testing.assert_array_equal(pq_counts(pred, void, K)[2], [0, 0, 0, 1])


def random_case(seed: int, crowds: bool) -> tuple[Segments, Segments]:
    """Rectangles over each other; the prediction is a moved copy with some classes changed."""
    rng = np.random.default_rng(seed)
    true, pred = np.zeros((2, 40, 50), int)
    labels, predicted = {}, {}
    for index in range(1, 13):
        y, x = rng.integers(0, (32, 40))
        dy, dx = rng.integers(0, 3, 2)
        label = int(rng.integers(0, K))
        true[y : y + 12, x : x + 14] = index * 70001
        pred[y + dy : y + 12, x + dx : x + 15] = index
        labels[index * 70001] = label
        predicted[index] = label if rng.random() < 0.8 else int(rng.integers(0, K))
    labels = {i: label for i, label in labels.items() if (true == i).any()}
    predicted = {i: label for i, label in predicted.items() if (pred == i).any()}
    first = {label: i for i, label in reversed(labels.items())}  # one crowd per class at most
    crowd = tuple(i for label, i in first.items() if label < 3) if crowds else ()
    return segments(true, labels, crowd), segments(pred, predicted)


class Stat(defaultdict):
    """What mmdet's function needs of panopticapi's PQStat."""

    def __init__(self) -> None:
        super().__init__(lambda: SimpleNamespace(iou=0.0, tp=0, fp=0, fn=0))


def official(true: Segments, pred: Segments, folder: Path) -> np.ndarray:
    """Counts (K, 4) of mmdet's function, by way of PNGs."""
    annotations = []
    for name, (ids, keys, labels, crowd) in (("true", true), ("pred", pred)):
        write_ids(folder / f"{name}.png", ids)
        infos = [
            dict(id=int(i), category_id=int(k), iscrowd=int(c), area=int((ids == i).sum()))
            for i, k, c in zip(keys, labels, crowd, strict=True)
        ]
        annotations.append(dict(image_id=1, file_name=f"{name}.png", segments_info=infos))
    stat = panoptic_utils.pq_compute_single_core(
        0, [annotations], str(folder), str(folder), dict.fromkeys(range(K))
    )
    return np.array([[stat[k].iou, stat[k].tp, stat[k].fp, stat[k].fn] for k in range(K)])


@pytest.mark.parametrize("installed", [False, True], ids=["stand-in", "panopticapi"])
def test_equals_mmdet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    """mmdet holds panopticapi's function; PQStat and rgb2id come from there or stand in."""
    if installed:
        pytest.importorskip("panopticapi")
    else:
        monkeypatch.setattr(panoptic_utils, "PQStat", Stat)
        monkeypatch.setattr(panoptic_utils, "rgb2id", segment_ids)
    cases = [by_hand(), *(random_case(seed, crowds=True) for seed in range(8))]
    cases[0][0].map[8] = 0  # panopticapi refuses ids that are not in the JSON
    cases[0][0].map[8, :5] = 17
    counts = [pq_counts(*case, K) for case in cases]
    for case, ours in zip(cases, counts, strict=True):
        np.testing.assert_allclose(ours, official(*case, tmp_path), rtol=1e-12)
    assert (np.sum(counts, 0)[:, 1:].sum(0) > 5).all()  # all kinds occur


def test_equals_torchmetrics() -> None:
    """Without crowds, and with the prediction's void as a class of its own, left out at the end:
    torchmetrics would excuse what is missed there."""
    detection = pytest.importorskip("torchmetrics.detection")
    metric = detection.PanopticQuality(
        things=set(range(3)), stuffs={3, 4, K}, return_per_class=True, return_sq_and_rq=True
    )
    total = np.zeros((K, 4))
    for seed in range(6):
        true, pred = random_case(seed, crowds=False)
        true, pred = (_without_stuff_instances(part) for part in (true, pred))
        total += pq_counts(true, pred, K)
        metric.update(_colours(pred, none=K), _colours(true, none=-1))
    ours = [panoptic_quality(counts[None]) for counts in total]
    theirs = metric.compute()[:K]  # (K, 3) float32
    for parts, quality in zip(theirs.tolist(), ours, strict=True):
        assert [quality[name] for name in ("pq", "sq", "rq")] == pytest.approx(parts)


def _without_stuff_instances(part: Segments) -> Segments:
    """Segments of one stuff class as one, which torchmetrics does by itself."""
    ids = part.map.copy()
    keep = {}
    for key, label in zip(part.ids.tolist(), part.labels.tolist(), strict=True):
        first = next((k for k, v in keep.items() if v == label and label >= 3), key)
        ids[ids == key] = first
        keep.setdefault(first, label)
    return segments(ids, keep)


def _colours(part: Segments, none: int) -> torch.Tensor:
    """(1, H, W, 2) of class and instance."""
    classes = np.full_like(part.map, none)
    for key, label in zip(part.ids, part.labels, strict=True):
        classes[part.map == key] = label
    return torch.from_numpy(np.stack([classes, part.map * (classes >= 0)], axis=-1))[None]


def test_segment_ids(tmp_path: Path) -> None:
    ids = np.array([[0, 255, 256], [65536, 2**24 - 1, 300]])
    write_ids(tmp_path / "a.png", ids)
    np.testing.assert_array_equal(read_segment_ids(str(tmp_path / "a.png")), ids)
