import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData
from mmrotate.structures.bbox import RotatedBoxes
from support.tools import ROOT
from torch import nn

from fdam_mm.oriented.float32_boxes import keep_boxes_in_float32
from fdam_mm.toolkits.registration import register_toolkit


@pytest.fixture
def detector() -> nn.Module:
    init_default_scope("mmrotate")
    register_toolkit("mmrotate")
    config = Config.fromfile(ROOT / "configs/demo/oriented-rcnn_lsknet_demo.py")
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    return model


def sample() -> DetDataSample:
    meta = dict(img_shape=(96, 96), ori_shape=(96, 96), pad_shape=(96, 96), scale_factor=(1, 1))
    sample = DetDataSample(metainfo=dict(meta, batch_input_shape=(96, 96)))
    box = RotatedBoxes(torch.tensor([[40.0, 40, 30, 16, 0.4]]))
    sample.gt_instances = InstanceData(bboxes=box, labels=torch.tensor([1]))
    sample.ignored_instances = InstanceData(bboxes=box[:0], labels=torch.zeros(0).long())
    return sample


def test_trains_and_predicts_in_bfloat16(detector: nn.Module) -> None:
    keep_boxes_in_float32(detector)
    image = torch.randn(1, 3, 96, 96)
    with torch.autocast("cpu", torch.bfloat16):
        assert detector.backbone.stages[0].proj(image).dtype == torch.bfloat16
        total, _ = detector.parse_losses(detector.loss(image, [sample()]))
    total.backward()
    assert total.isfinite()
    assert all(p.grad.isfinite().all() for p in detector.parameters() if p.grad is not None)
    detector.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = detector.predict(image, [sample()])[0].pred_instances
    assert len(found) and found.bboxes.dtype == found.scores.dtype == torch.float32


def test_changes_nothing_in_float32(detector: nn.Module) -> None:
    image = torch.randn(1, 3, 96, 96)
    detector.eval()
    with torch.no_grad():
        before = detector.predict(image, [sample()])[0].pred_instances
        keep_boxes_in_float32(detector)
        after = detector.predict(image, [sample()])[0].pred_instances
    torch.testing.assert_close(before.bboxes, after.bboxes, rtol=0, atol=0)
