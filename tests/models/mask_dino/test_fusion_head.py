"""Post-processing against the official one, and its corner cases."""

import pytest
import torch
from mmdet.structures import DetDataSample
from support.golden import Case, load_case
from torch import Tensor
from torch.nn import functional as F

from fdam_mm.models import MaskDINOFusionHead
from fdam_mm.models.mask_dino.structures import Prediction, to_pixels


@pytest.fixture(scope="module")
def case() -> Case:
    return load_case("maskdino_postprocess")


def blobs(case: Case, kind: str) -> Tensor:
    """Mask logits (60, 96, 128): paraboloids on drawn circles, and background."""
    size = (case.spec["height"], case.spec["width"])
    y, x = torch.meshgrid(*(torch.arange(side).float() for side in size), indexing="ij")
    masks = torch.full((case.spec["queries"], *size), -6.0)
    for query in range(case.spec["blobs"]):
        cy, cx, radius = case.outputs[f"{kind}:circles"][query]
        masks[query] = 6 - 9 * ((y - cy) ** 2 + (x - cx) ** 2) / radius**2
    return masks


@pytest.mark.parametrize(("kind", "num_stuff"), [("instance", 0), ("panoptic", 53)])
@pytest.mark.parametrize("focus_on_box", [False, True])
def test_instances(case: Case, kind: str, num_stuff: int, focus_on_box: bool) -> None:
    official = {k.removeprefix(f"{kind}:"): v for k, v in case.outputs.items()}
    test_cfg = dict(max_per_image=case.spec["top_k"], focus_on_box=focus_on_box)
    head = MaskDINOFusionHead(80, num_stuff, test_cfg)
    ours = head.instance_postprocess(
        official["class_logits"], blobs(case, kind), official["boxes"]
    )
    scores = "inst_scores_without_mask_quality" if focus_on_box else "inst_scores"
    order = official[scores].argsort(descending=True)
    ours = ours[ours.scores.argsort(descending=True)]
    torch.testing.assert_close(ours.scores, official[scores][order], rtol=0, atol=1e-5)
    assert torch.equal(ours.labels, official["inst_labels"][order].long())
    assert torch.equal(ours.bboxes, official["inst_boxes"][order])
    areas = ours.masks.flatten(1).sum(1)
    assert torch.equal(areas, official["inst_mask_areas"][order].long())


def test_panoptic(case: Case) -> None:
    head = MaskDINOFusionHead(80, 53)
    logits = case.outputs["panoptic:class_logits"]
    ours = head.panoptic_postprocess(logits, blobs(case, "panoptic")).sem_seg[0]
    official = case.outputs["panoptic:panoptic"].long()
    segments = case.outputs["panoptic:segments"].long().tolist()
    assert torch.equal(ours == 133, official == 0)
    assert len(ours.unique()) == len(segments) + 1
    for index, label, is_thing in segments:
        (value,) = ours[official == index].unique().tolist()
        assert value % 1000 == label
        assert (value >= 1000) == bool(is_thing)


def test_semantic(case: Case) -> None:
    head = MaskDINOFusionHead(80, 53)
    logits = case.outputs["panoptic:class_logits"]
    ours = head.semantic_postprocess(logits, blobs(case, "panoptic")).sem_seg[0]
    assert torch.equal(ours, case.outputs["panoptic:semantic"].long())


def test_nothing_found() -> None:
    head = MaskDINOFusionHead(2, 1)
    logits, masks = torch.full((4, 3), -9.0), torch.full((4, 5, 6), -9.0)
    assert head.panoptic_postprocess(logits, masks).sem_seg.unique().tolist() == [3]
    found = head.instance_postprocess(logits, masks, torch.zeros(4, 4))
    assert len(found) == 8  # fewer pairs than max_per_image, and stuff left out
    assert (found.scores == 0).all()


def test_unknown_setting() -> None:
    with pytest.raises(ValueError, match="test_cfg has no setting .*semantics_on.*"):
        MaskDINOFusionHead(2, 1, dict(semantics_on=True))


@pytest.mark.parametrize("panoptic", [False, True])
def test_only_used_queries_are_resized(panoptic: bool) -> None:
    """The results are those of all queries; with none in use there is nothing to resize."""
    head = MaskDINOFusionHead(2, 1, dict(max_per_image=5, panoptic_on=panoptic, iou_thr=0.3))
    torch.manual_seed(0)
    prediction = Prediction(torch.randn(1, 9, 3), torch.rand(1, 9, 4), torch.randn(1, 9, 4, 6))
    sizes = dict(batch_input_shape=(16, 24), img_shape=(16, 20), ori_shape=(32, 40))
    (found,) = head.predict(prediction, [DetDataSample(metainfo=sizes)])
    masks = F.interpolate(prediction.masks, (16, 24), mode="bilinear")[..., :20]
    masks = F.interpolate(masks, (32, 40), mode="bilinear")[0]
    boxes = to_pixels(prediction.boxes[0], (32, 48))
    expected = head.instance_postprocess(prediction.logits[0], masks, boxes)
    for name in ("scores", "labels", "bboxes", "masks"):
        assert torch.equal(found["ins_results"][name], expected[name])
    if panoptic:
        expected = head.panoptic_postprocess(prediction.logits[0], masks).sem_seg
        assert torch.equal(found["pan_results"].sem_seg, expected) and len(expected.unique()) > 2
        nothing = MaskDINOFusionHead(2, 1, dict(instance_on=False, panoptic_on=True))
        prediction = prediction._replace(logits=prediction.logits - 20)
        (found,) = nothing.predict(prediction, [DetDataSample(metainfo=sizes)])
        assert found["pan_results"].sem_seg.unique().tolist() == [3]
