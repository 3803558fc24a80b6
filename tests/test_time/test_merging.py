"""Merging the views of a picture, on numbers worked out by hand."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from fdam_mm.errors import ConfigError
from fdam_mm.test_time.boxes import BoxTTA
from fdam_mm.test_time.segmentation import MeanSegTTA
from fdam_mm.toolkits.registration import register_toolkit

SIZE = (60, 100)  # height, width
UPRIGHT = {  # one box in the views of a picture
    None: [10, 20, 30, 26],
    "horizontal": [70, 20, 90, 26],
    "vertical": [10, 34, 30, 40],
    "diagonal": [70, 34, 90, 40],
}
ROTATED = {
    None: [20, 10, 8, 4, 0.3],
    "horizontal": [80, 10, 8, 4, -0.3],
    "vertical": [20, 50, 8, 4, -0.3],
    "diagonal": [80, 50, 8, 4, 0.3],
}
QUAD = {
    None: [10, 10, 20, 10, 20, 20, 10, 20],
    "horizontal": [90, 10, 80, 10, 80, 20, 90, 20],
}


class Model(nn.Module):
    def __init__(self, out_channels: int = 3) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.decode_head = nn.Module()
        self.decode_head.threshold = 0.3

    def test_step(self, data: object) -> None: ...


@pytest.fixture(autouse=True, scope="module")
def toolkit() -> None:
    init_default_scope("mmrotate")
    register_toolkit("mmrotate")


def view(boxes: list, scores: list[float], direction: str | None = None) -> DetDataSample:
    flip = dict(flip=direction is not None, flip_direction=direction)
    sample = DetDataSample(metainfo=dict(ori_shape=SIZE, **flip))
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32),
        scores=torch.tensor(scores),
        labels=torch.zeros(len(scores), dtype=torch.long),
    )
    return sample


def merging(kind: str = "nms", best: int = 10) -> BoxTTA:
    return BoxTTA(Model(), dict(nms=dict(type=kind, iou_threshold=0.5), max_per_img=best))


@pytest.mark.parametrize(
    ("boxes", "nms"), [(UPRIGHT, "nms"), (ROTATED, "nms_rotated"), (QUAD, "nms_quadri")]
)
def test_one_box_in_all_views_is_one_box(boxes: dict, nms: str) -> None:
    views = [
        view([box], [0.5 + 0.1 * index], direction)
        for index, (direction, box) in enumerate(boxes.items())
    ]
    merged = merging(nms).merge_preds([views])[0]
    assert merged is views[0]
    torch.testing.assert_close(
        merged.pred_instances.bboxes.sort().values, Tensor([boxes[None]]).sort().values
    )
    assert merged.pred_instances.scores.item() == pytest.approx(0.4 + 0.1 * len(boxes))


def test_boxes_of_any_view_stay_best_first() -> None:
    views = [view([[0, 0, 9, 9]], [0.2]), view([[50, 0, 60, 9], [0, 30, 9, 40]], [0.9, 0.1])]
    found = merging(best=2).merge_preds([views])[0].pred_instances
    assert found.scores.tolist() == pytest.approx([0.9, 0.2])
    assert found.bboxes.tolist() == [[50, 0, 60, 9], [0, 0, 9, 9]]


def test_no_boxes() -> None:
    empty = [view(torch.zeros(0, 5).tolist(), []) for _ in range(2)]
    for sample in empty:
        sample.pred_instances.bboxes = torch.zeros(0, 5)
    assert len(merging("nms_rotated").merge_preds([empty])[0].pred_instances) == 0


def test_masks_are_refused() -> None:
    masks = view([[0, 0, 9, 9]], [0.2])
    masks.pred_instances.masks = torch.ones(1, *SIZE)
    panoptic = view([[0, 0, 9, 9]], [0.2])
    panoptic.pred_panoptic_seg = PixelData(sem_seg=torch.ones(1, *SIZE))
    for sample, word in ((masks, "masks"), (panoptic, "pred_panoptic_seg")):
        with pytest.raises(ConfigError, match=f"predicts {word} too"):
            merging().merge_preds([[sample]])


def seg_view(logits: list) -> SegDataSample:
    data = Tensor(logits)[:, None]  # (K, 1, W)
    return SegDataSample(seg_logits=PixelData(data=data))


def test_mean_of_probabilities() -> None:
    """One sure view outweighs one unsure one; the mean of the logits would say the other."""
    views = [seg_view([[0.0], [6.0], [-9.0]]), seg_view([[0.0], [-7.0], [9.0]])]
    views.append(seg_view([[0.0], [4.0], [-2.0]]))
    merged = MeanSegTTA(Model()).merge_preds([views])[0]
    assert merged is views[0] and merged.pred_sem_seg.data.tolist() == [[[1]]]
    probabilities = merged.seg_logits.data.softmax(0)  # (K, 1, 1)
    assert probabilities[1].item() == pytest.approx((0.9975 + 0 + 0.9796) / 3, abs=1e-3)


def test_one_channel_has_probabilities_already() -> None:
    views = [seg_view([[0.1, 0.5]]), seg_view([[0.3, 0.3]])]
    merged = MeanSegTTA(Model(out_channels=1)).merge_preds([views])[0]
    assert merged.pred_sem_seg.data.tolist() == [[[0, 1]]]
