"""mmdet's visualiser with rotated boxes that stay readable where they are small and many."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.registry import VISUALIZERS
from mmengine.structures import InstanceData

from fdam_mm.oriented.boxes import OrientedBoxes
from fdam_mm.toolkits.quiet import quiet

from .rotated_boxes import Colour, draw_legend, draw_rotated_boxes

with quiet():
    from mmdet.structures.bbox import get_box_tensor
    from mmdet.visualization import DetLocalVisualizer


@VISUALIZERS.register_module()
class RotatedBoxVisualizer(DetLocalVisualizer):
    """Thin outlines and a legend of the classes, in the place of a name and score at every box.

    Truth and prediction stand side by side, as in mmdet.

    Args:
        name: As for every visualizer.
        scale: Enlarges small pictures before boxes are drawn.
        kwargs: Of mmdet's ``DetLocalVisualizer``.
    """

    def __init__(self, name: str = "visualizer", scale: int = 1, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.scale = scale

    def _draw_instances(
        self,
        image: np.ndarray,
        instances: InstanceData,
        classes: Sequence[str],
        palette: Sequence[Colour],
    ) -> np.ndarray:
        boxes, labels = np.zeros((0, 5)), np.zeros(0, np.int64)
        if "bboxes" in instances:  # an unlabelled picture's truth has none
            boxes = get_box_tensor(instances.bboxes).cpu().numpy()
            labels = instances.labels.cpu().numpy()
        corners = OrientedBoxes(boxes, np.ones(len(boxes)), labels).corners()
        large = cv2.resize(
            image, None, fx=self.scale, fy=self.scale, interpolation=cv2.INTER_NEAREST
        )
        drawn = draw_rotated_boxes(large, corners * self.scale, labels, palette, width=2)
        return np.concatenate([drawn, draw_legend(classes, palette, drawn.shape[1])])
