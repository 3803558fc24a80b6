"""Made-up labelled pictures for a step of a model, by toolkit."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fdam_mm.toolkits.quiet import quiet

_OBJECTS = 10  # in each picture of a detector


def make_batch(
    scope: str, model: nn.Module, batch: int, shape: tuple[int, int], device: str
) -> tuple[Tensor, list[Any]]:
    """Pictures (batch, 3, H, W) as the model takes them, and their data samples.

    Args:
        scope: The toolkit: mmseg, mmdet or mmrotate.
        model: The model, whose number of classes the labels keep to.
        batch: Pictures.
        shape: Height and width in pixels.
        device: Where.
    """
    torch.manual_seed(0)
    make = dict(mmseg=_segmentation, mmdet=_detection, mmrotate=_oriented)[scope]
    return make(model, batch, shape, device)


def _segmentation(
    model: Any, batch: int, shape: tuple[int, int], device: str
) -> tuple[Tensor, list[Any]]:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    samples = []
    for _ in range(batch):
        labels = torch.randint(0, model.num_classes, (1, *shape), device=device)
        sizes = dict.fromkeys(("img_shape", "ori_shape", "pad_shape"), shape)
        sample = SegDataSample(metainfo=dict(**sizes, padding_size=[0, 0, 0, 0]))
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    return torch.randn(batch, 3, *shape, device=device), samples


def _detection(
    model: Any, batch: int, shape: tuple[int, int], device: str
) -> tuple[Tensor, list[Any]]:
    with quiet():
        from mmdet.testing import demo_mm_inputs
    head = getattr(model, "panoptic_head", model)
    data = demo_mm_inputs(
        batch,
        (3, *shape),
        num_items=[_OBJECTS] * batch,
        num_classes=getattr(head, "num_things_classes", 2),
        with_mask=True,
        device=device,
    )
    data = model.data_preprocessor(data, training=True)
    return data["inputs"], data["data_samples"]


def _oriented(
    model: Any, batch: int, shape: tuple[int, int], device: str
) -> tuple[Tensor, list[Any]]:
    """Drawn aerial scenes with their rotated boxes."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData
    from mmrotate.structures.bbox import QuadriBoxes

    from fdam_mm.data.demo.aerial import draw_aerial

    scenes = [draw_aerial(np.random.default_rng(seed), shape) for seed in range(batch)]
    pixels = torch.stack([torch.from_numpy(scene.image) for scene in scenes])
    samples = []
    for scene in scenes:
        corners = torch.from_numpy(np.stack([item.corners for item in scene.objects]))
        boxes = QuadriBoxes(corners.reshape(-1, 8).float()).convert_to("rbox").to(device)
        labels = torch.tensor([item.class_id for item in scene.objects], device=device)
        sizes = dict.fromkeys(("img_shape", "ori_shape", "pad_shape", "batch_input_shape"), shape)
        sample = DetDataSample(metainfo=dict(**sizes, scale_factor=(1, 1)))
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
        sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=labels[:0])
        samples.append(sample)
    return (pixels.permute(0, 3, 1, 2).float() / 58 - 2).to(device), samples
