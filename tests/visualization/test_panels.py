from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

from fdam_mm.visualization.panels import PanelVisualizer, true_segments

CLASSES = ("cat", "dog", "sky")  # things first
SIZE = (20, 30)


def maps(*values: int) -> Tensor:
    """(1, H, W): vertical stripes of the values."""
    return torch.tensor(values).repeat_interleave(SIZE[1] // len(values)).repeat(1, SIZE[0], 1)


@pytest.fixture
def sample() -> DetDataSample:
    masks = np.zeros((2, *SIZE), np.uint8)
    masks[0, :, :10] = masks[1, :, 10:20] = 1
    boxes = torch.tensor([[0.0, 0, 10, 20], [10, 0, 20, 20]])
    things = dict(labels=torch.tensor([1, 1]), bboxes=boxes)
    result = DetDataSample()
    result.gt_instances = InstanceData(masks=BitmapMasks(masks, *SIZE), **things)
    result.gt_sem_seg = PixelData(sem_seg=maps(1, 1, 2))
    result.pred_instances = InstanceData(
        masks=torch.from_numpy(masks).bool(), scores=torch.tensor([0.9, 0.1]), **things
    )
    result.pred_panoptic_seg = PixelData(sem_seg=maps(1001, 3, 2))
    return result


def draw(file: Path, sample: DetDataSample | None) -> np.ndarray:
    """The picture (H, W, 3) that is drawn of the sample on grey."""
    visualizer = PanelVisualizer(min_side=70)
    visualizer.dataset_meta = dict(classes=CLASSES, palette=[(255, 0, 0), (0, 255, 0), (0, 0, 9)])
    visualizer.add_datasample("name", np.full((*SIZE, 3), 90.0), sample, out_file=str(file))
    return cv2.imread(str(file))


def test_true_segments_by_hand(sample: DetDataSample) -> None:
    assert torch.equal(true_segments(sample, 3), maps(1001, 2001, 2).int())
    sample.gt_sem_seg.sem_seg = maps(1, 255, 2)
    del sample.gt_instances
    assert torch.equal(true_segments(sample, 3), maps(1, 3, 2).int())


def test_panels(tmp_path: Path, sample: DetDataSample) -> None:
    drawn = draw(tmp_path / "a.png", sample)
    height, width = SIZE[0] * 4, SIZE[1] * 4  # 80 is the least multiple of 20 from 70 on
    assert drawn.shape == (height, 4 * width, 3)
    picture, truth, objects, segments = np.split(drawn, 4, axis=1)
    assert (picture == 90).all()
    rows = slice(height // 2, height - 6)  # under the names
    green = [panel[rows, 8:32].mean((0, 1)).argmax() == 1 for panel in (truth, objects)]
    assert green == [True, True]
    second = slice(width // 3 + 8, 2 * width // 3 - 8)
    assert (objects[rows, second] == 90).all(), "drew what is below the threshold"
    assert (truth[rows, second] != 90).any()
    assert (segments[rows, second] == 90).all(), "drew pixels of no segment"


def test_boxes_beyond_the_picture_keep_the_panel(tmp_path: Path, sample: DetDataSample) -> None:
    sample.pred_instances.bboxes = torch.tensor([[-9.0, -9, 60, 60], [0, 0, 1, 1]])
    objects = np.split(draw(tmp_path / "a.png", sample), 4, axis=1)[2]
    assert (objects == 255).all(-1).mean() < 0.01  # matplotlib's ground would be white


def test_what_is_missing_has_no_panel(tmp_path: Path, sample: DetDataSample) -> None:
    assert draw(tmp_path / "a.png", None).shape[1] == 120
    del sample.gt_sem_seg, sample.pred_panoptic_seg
    assert draw(tmp_path / "b.png", sample).shape[1] == 3 * 120
    del sample.gt_instances, sample.pred_instances
    assert draw(tmp_path / "c.png", sample).shape[1] == 120


def test_nothing_found(tmp_path: Path, sample: DetDataSample) -> None:
    sample.pred_instances = sample.pred_instances[:0]
    sample.pred_panoptic_seg.sem_seg = maps(3, 3, 3)
    _, _, objects, segments = np.split(draw(tmp_path / "a.png", sample), 4, axis=1)
    assert (objects == 90).all() and (segments == 90).all()
