from pathlib import Path

import cv2
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from fdam_mm.visualization.rotated_boxes import draw_legend, draw_rotated_boxes
from fdam_mm.visualization.rotated_visualizer import RotatedBoxVisualizer

RED, BLUE = (255, 0, 0), (0, 0, 255)
CLASSES = ("plane", "ship")


def has_colour(image: np.ndarray, colour: tuple[int, ...]) -> bool:
    """Smooth lines are a little darker."""
    return bool((np.abs(image.astype(int) - colour).max(axis=2) < 60).any())


def test_outlines_have_their_class_colour_and_nothing_else_changes() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    corners = np.array([[[10, 10], [30, 10], [30, 20], [10, 20]]], float)
    drawn = draw_rotated_boxes(image, corners, np.array([1]), [RED, BLUE])
    assert not image.any()
    assert drawn[10, 20, 2] > 200 and not drawn[..., :2].any()
    assert not drawn[13:18, 13:28].any() and not drawn[25:].any()


def test_legend_breaks_lines() -> None:
    wide, narrow = (draw_legend(CLASSES, [RED, BLUE], width) for width in (400, 80))
    assert wide.shape[1] == 400 and narrow.shape[0] == 2 * wide.shape[0]
    assert all(has_colour(strip, colour) for strip in (wide, narrow) for colour in (RED, BLUE))


def test_visualizer_draws_truth_and_prediction_enlarged(tmp_path: Path) -> None:
    visualizer = RotatedBoxVisualizer(scale=2)
    visualizer.dataset_meta = dict(classes=CLASSES, palette=[RED, BLUE])
    sample = DetDataSample()
    box = torch.tensor([[20.0, 20, 16, 8, 0.5]])
    sample.gt_instances = InstanceData(bboxes=box, labels=torch.tensor([0]))
    sample.pred_instances = InstanceData(
        bboxes=box.repeat(2, 1), labels=torch.tensor([1, 0]), scores=torch.tensor([0.9, 0.1])
    )
    file = tmp_path / "drawn.png"
    visualizer.add_datasample("a", np.zeros((50, 60, 3), np.uint8), sample, out_file=str(file))
    drawn = cv2.imread(str(file))[..., ::-1]
    assert drawn.shape[1] == 2 * 2 * 60 and drawn.shape[0] > 2 * 50
    truth, prediction = drawn[:100, :120], drawn[:100, 120:]
    assert has_colour(truth, RED) and not has_colour(truth, BLUE)
    assert has_colour(prediction, BLUE) and not has_colour(prediction, RED)  # 0.1 is too low
