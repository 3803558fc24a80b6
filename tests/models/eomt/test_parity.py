"""EoMT against transformers' from the same weights, by way of the converter."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from support.eomt import build, image, of_transformers
from torch import Tensor, nn

from fdam_mm.checkpoints import convert
from fdam_mm.models import EoMT, EoMTHead

pytest.importorskip("transformers", minversion="5.0")
FAMILIES = ("dinov2", "dinov3")


def pair(family: str) -> tuple[nn.Module, EoMT]:
    theirs, ours = of_transformers(family), build(family)
    state = convert(theirs.state_dict())
    ours.load_state_dict({k.removeprefix("backbone."): v for k, v in state.items()})
    return theirs, ours


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("masked", [False, True])
def test_outputs(family: str, masked: bool) -> None:
    theirs, ours = pair(family)
    theirs.attn_mask_probs.fill_(float(masked))
    ours.masking.set([float(masked)] * 2)
    with torch.no_grad():
        expected, found = theirs(image()), ours(image())
    assert len(found) == (3 if masked else 1)
    assert error(found[-1].logits, expected.class_queries_logits) < 1e-4
    assert error(found[-1].masks, expected.masks_queries_logits) < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("prob", [1.0, 0.5])
def test_training_loss(family: str, prob: float) -> None:
    """Predictions between the blocks, masks by chance, matching and points: one number."""
    theirs, ours = (model.train() for model in pair(family))
    theirs.attn_mask_probs.fill_(prob)
    ours.masking.set([prob] * 2)
    masks = torch.zeros(2, 3, 64, 64)
    for index in range(3):
        masks[:, index, 20 * index : 20 * index + 18, 8 : 40 + index] = 1
    labels = [torch.tensor([0, 3, 3]), torch.tensor([4, 1, 2])]
    torch.manual_seed(3)
    expected = theirs(image(), mask_labels=list(masks), class_labels=labels)
    torch.manual_seed(3)
    head = EoMTHead(num_things_classes=5, num_queries=7, num_points=50)
    losses = head.loss(ours(image()), [_sample(m, n) for m, n in zip(masks, labels, strict=True)])
    assert len(losses) == 9  # three terms of three predictions
    total = sum(losses.values()).squeeze()  # mmdet divides by a tensor of one number
    torch.testing.assert_close(total, expected.loss, rtol=1e-4, atol=0)
    total.backward()
    expected.loss.backward()
    assert error(ours.queries.weight.grad, theirs.query.weight.grad) < 1e-3


def _sample(masks: Tensor, labels: Tensor) -> DetDataSample:
    sample = DetDataSample(metainfo=dict(batch_input_shape=(64, 64), img_shape=(64, 64)))
    sample.gt_instances = InstanceData(
        labels=labels, masks=BitmapMasks(masks.numpy().astype("uint8"), 64, 64)
    )
    return sample
