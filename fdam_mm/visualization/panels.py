"""Input, truth, instances and panoptic segments of a picture, side by side."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.registry import VISUALIZERS
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

from fdam_mm.files import write_atomically
from fdam_mm.toolkits.quiet import quiet

with quiet():
    from mmdet.evaluation.functional import INSTANCE_OFFSET
    from mmdet.structures import DetDataSample
    from mmdet.visualization import DetLocalVisualizer


@VISUALIZERS.register_module()
class PanelVisualizer(DetLocalVisualizer):
    """mmdet's drawings as panels of their own, where mmdet lays them over each other.

    From left to right: the picture, its true segments, the predicted instances with boxes and
    masks, and the predicted panoptic segments; what a sample does not hold has no panel. Small
    pictures are enlarged by a whole number, so that boxes and names have room.

    Args:
        name: As for every visualizer.
        min_side: Least width and height of a panel, in pixels.
        kwargs: Of mmdet's ``DetLocalVisualizer``.
    """

    def __init__(self, name: str = "visualizer", min_side: int = 512, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.min_side = min_side

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: DetDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        pred_score_thr: float = 0.3,
        step: int = 0,
    ) -> None:
        """As mmdet's, with ``image`` (H, W, 3) RGB in 0..255 and the sample in its pixels."""
        image = image.clip(0, 255).astype(np.uint8)
        factor = max(1, -(-self.min_side // min(image.shape[:2])))
        image = image.repeat(factor, 0).repeat(factor, 1)
        panels = [image]
        if data_sample is not None:
            sample = data_sample.cpu()
            if draw_gt:
                panels += self._truth(image, sample, factor)
            if draw_pred:
                panels += self._prediction(image, sample, factor, pred_score_thr)
        drawn = np.concatenate(panels, axis=1)
        self.set_image(drawn)
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        if out_file is None:
            self.add_image(name, drawn, step)
        else:
            data = cv2.imencode(Path(out_file).suffix, drawn[..., ::-1])[1]
            write_atomically(out_file, data.tobytes())

    def _truth(self, image: np.ndarray, sample: DetDataSample, factor: int) -> list[np.ndarray]:
        """One panel, or none where there is no truth."""
        if "gt_sem_seg" in sample:
            return [self._draw_segments(image, true_segments(sample, self._num_classes()), factor)]
        if "gt_instances" in sample and "bboxes" in sample.gt_instances:
            return [self._draw_objects(image, sample.gt_instances, factor)]
        return []

    def _prediction(
        self, image: np.ndarray, sample: DetDataSample, factor: int, threshold: float
    ) -> list[np.ndarray]:
        """A panel for the instances above the threshold, and one for the panoptic segments."""
        panels = []
        if "pred_instances" in sample:
            objects = sample.pred_instances
            panels.append(self._draw_objects(image, objects[objects.scores > threshold], factor))
        if "pred_panoptic_seg" in sample:
            segments = sample.pred_panoptic_seg.sem_seg
            panels.append(self._draw_segments(image, segments, factor))
        return panels

    def _num_classes(self) -> int:
        return len(self.dataset_meta["classes"])

    def _draw_objects(self, image: np.ndarray, objects: InstanceData, factor: int) -> np.ndarray:
        height, width = image.shape[:2]
        limits = objects.bboxes.new_tensor([width, height, width, height]) - 1
        boxes = (objects.bboxes * factor).clamp(min=0).minimum(limits)  # else the panel grows
        enlarged = InstanceData(labels=objects.labels, bboxes=boxes)
        if "scores" in objects:
            enlarged.scores = objects.scores
        if "masks" in objects:
            masks = objects.masks
            if not isinstance(masks, Tensor):  # mmdet's bitmaps or polygons
                masks = masks.to_tensor(torch.bool, "cpu")
            enlarged.masks = _enlarge(masks, factor)
        meta = self.dataset_meta
        return self._draw_instances(image, enlarged, meta.get("classes"), meta.get("palette"))

    def _draw_segments(self, image: np.ndarray, segments: Tensor, factor: int) -> np.ndarray:
        """``segments`` (1, H, W): label + 1000 * instance; the number of classes is nothing."""
        if (segments == self._num_classes()).all():  # mmdet's drawing fails
            return image
        enlarged = PixelData(sem_seg=_enlarge(segments, factor).numpy())
        meta = self.dataset_meta
        return self._draw_panoptic_seg(image, enlarged, meta["classes"], meta.get("palette"))


def true_segments(sample: DetDataSample, num_classes: int) -> Tensor:
    """The panoptic truth (1, H, W) of a sample, as mmdet numbers predicted segments.

    Args:
        sample: Its ``gt_sem_seg`` has the labels of all pixels, its ``gt_instances`` the masks of
            the things.
        num_classes: Given to pixels without a label.
    """
    labels = sample.gt_sem_seg.sem_seg
    segments = torch.where(labels < num_classes, labels, num_classes).int()
    if "gt_instances" in sample and "masks" in sample.gt_instances:
        objects = sample.gt_instances
        for index, mask in enumerate(objects.masks.to_tensor(torch.bool, "cpu")):
            segments[0, mask] = int(objects.labels[index]) + (index + 1) * INSTANCE_OFFSET
    return segments


def _enlarge(maps: Tensor, factor: int) -> Tensor:
    """(n, H, W) -> (n, H * factor, W * factor), by repeating pixels."""
    return maps.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
