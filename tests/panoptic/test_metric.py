"""The metric on a drawn set, through mmengine's evaluator."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoPanopticDataset
from mmengine.logging import MMLogger
from mmengine.registry import METRICS, init_default_scope
from mmengine.structures import PixelData
from support.coco import METAINFO, Picture, Thing, write_coco

from fdam_mm.panoptic import CocoPanopticQuality

PICTURES = [
    Picture([Thing((4, 4, 20, 20), 2), Thing((40, 10, 30, 30), 7)], stuff=[90, 95]),
    Picture([Thing((0, 0, 60, 40), 3, crowd=True)]),
    Picture(),
]
NONE = len(METAINFO["classes"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_coco(tmp_path, PICTURES, "val")


def metric(root: Path, **settings: object) -> CocoPanopticQuality:
    init_default_scope("mmdet")
    metric = METRICS.build(
        dict(
            type="CocoPanopticQuality",
            ann_file=f"{root}/annotations/panoptic_val2017.json",
            seg_prefix=f"{root}/annotations/panoptic_val2017",
            **settings,
        )
    )
    metric.dataset_meta = METAINFO
    return metric


def sample(number: int, prediction: torch.Tensor) -> dict:
    """As the evaluator hands it over."""
    pixels = PixelData(sem_seg=prediction[None]).to_dict()
    name = f"{number:012d}.jpg"
    return dict(img_id=number, img_path=name, pred_panoptic_seg=pixels, ori_shape=(64, 96))


def prediction() -> torch.Tensor:
    """The first picture: both kinds of stuff, the disc, and not the bar but another box."""
    pixels = torch.full((64, 96), NONE, dtype=torch.int32)
    pixels[:, :48] = 3
    pixels[:, 48:] = 4
    pixels[4:24, 4:24] = 1000
    pixels[10:40, 40:70] = 2001
    return pixels


def test_results(root: Path) -> None:
    ours = metric(root)
    ours.process({}, [sample(1, prediction()), sample(2, torch.full((64, 96), NONE))])
    ours.process({}, [sample(3, prediction()), sample(1, prediction())])
    result = ours.evaluate(size=3)  # the fourth repeats the first, as padding over processes does
    assert set(ours.dataset_meta["classes"]) == set(METAINFO["classes"])
    expected = dict(PQ=60, SQ=60, RQ=60, PQ_th=100 / 3, PQ_st=100)  # disc, sky and soil of five
    for name, value in expected.items():
        assert result[f"coco_panoptic/{name}"] == pytest.approx(value)


def test_a_predicted_crowd_is_excused(root: Path) -> None:
    pixels = torch.full((64, 96), NONE)
    pixels[:40, :60] = 1001
    ours = metric(root)
    ours.process({}, [sample(2, pixels)])
    assert np.isnan(ours.evaluate(size=1)["coco_panoptic/PQ"])


def test_classwise_table(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(MMLogger, "handle", lambda self, record: lines.append(str(record.msg)))
    ours = metric(root, classwise=True)
    ours.process({}, [sample(1, prediction())])
    ours.evaluate(size=1)
    assert any("| disc     | 100.000 |" in line for line in lines), lines


def test_wrong_classes_and_sizes(root: Path) -> None:
    ours = metric(root)
    with pytest.raises(ValueError, match="000000000001.png is 64 high and 96 wide, but the pred"):
        ours.process({}, [sample(1, torch.full((32, 96), NONE))])
    ours.dataset_meta = dict(METAINFO, classes=("disc", "sky"))
    with pytest.raises(ValueError, match="panoptic_val2017.json has 5 categories .* 2 classes"):
        ours.process({}, [sample(1, prediction())])


def test_equals_mmdet_with_panopticapi(root: Path) -> None:
    pytest.importorskip("panopticapi")
    from mmdet.evaluation import CocoPanopticMetric

    theirs = CocoPanopticMetric(
        ann_file=f"{root}/annotations/panoptic_val2017.json",
        seg_prefix=f"{root}/annotations/panoptic_val2017",
    )
    theirs.dataset_meta = METAINFO
    results = []
    for each in (metric(root), theirs):
        each.process({}, [sample(1, prediction())])
        results.append(each.evaluate(size=1))
    assert results[0] == pytest.approx(results[1])


def test_loading(root: Path) -> None:
    """Boxes, masks and stuff of the PNG agree; the crowd is no instance."""
    init_default_scope("mmdet")
    dataset = CocoPanopticDataset(
        data_root=str(root),
        ann_file="annotations/panoptic_val2017.json",
        data_prefix=dict(img="val2017", seg="annotations/panoptic_val2017"),
        metainfo=METAINFO,
        test_mode=True,
        pipeline=[dict(type="LoadImageFromFile"), dict(type="LoadCocoPanoptic")],
    )
    data = dataset[0]
    np.testing.assert_array_equal(data["gt_bboxes_labels"], [0, 2])
    assert data["gt_bboxes"].numpy().tolist() == [[4, 4, 24, 24], [40, 10, 70, 40]]
    assert data["gt_masks"].areas.tolist() == [400, 900]
    expected = prediction().numpy() % 1000
    expected[10:40, 40:70] = 2
    np.testing.assert_array_equal(data["gt_seg_map"], expected)
    assert len(dataset[1]["gt_masks"]) == len(dataset[2]["gt_masks"]) == 0
