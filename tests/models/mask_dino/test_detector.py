"""The whole model, small: levels and orders, training on odd batches, results, precision."""

import pytest
import torch
from mmengine.structures import InstanceData
from support.mask_dino import SIZE, batch, small_mask_dino
from torch import Tensor

from fdam_mm.models.mask_dino.losses import TERMS
from fdam_mm.models.mask_dino.structures import Prediction, ground_truths

FDAM = dict(att_inv=True, freq_scale=True)


def step(model: torch.nn.Module, counts: list[int], **batch_settings: object) -> dict[str, Tensor]:
    """Losses of a training step, all of them and all gradients finite."""
    images, samples = batch(counts, **batch_settings)
    torch.manual_seed(0)
    losses = model.train()(images, samples, mode="loss")
    model.zero_grad()
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    return losses


@pytest.mark.parametrize("fdam", [None, FDAM], ids=["plain", "fdam"])
@pytest.mark.parametrize("init_box", ["bitmask", "mask2box", None])
@pytest.mark.parametrize(
    "levels",
    [
        dict(num_levels=3, fine_first=False),
        dict(num_levels=4, fine_first=True),
        dict(num_levels=5, num_encoder_inputs=3, fine_first=False),
        dict(num_levels=5, num_encoder_inputs=4, fine_first=True),
    ],
    ids=lambda levels: "_".join(map(str, levels.values())),
)
def test_training_step(levels: dict, init_box: str | None, fdam: dict | None) -> None:
    model = small_mask_dino(dict(levels, fdam=fdam), init_box=init_box)
    losses = step(model, [3, 1])
    prefixes = ["", "_0", "_1", "_dn", "_dn_0", "_dn_1", "_interm"]
    assert losses.keys() == {f"{term}{prefix}" for term in TERMS for prefix in prefixes}
    assert all(losses[f"{term}_dn"] > 0 for term in TERMS)


@pytest.mark.parametrize("counts", [[0, 0], [0, 2], [1, 101], [21, 0]], ids=str)
def test_odd_numbers_of_objects(counts: list[int]) -> None:
    """None at all, none in one image, too many for denoising, more than queries."""
    losses = step(small_mask_dino(), counts)
    assert len(losses) == 35
    assert (losses["loss_ce_dn_0"] > 0) == (0 < max(counts) <= 100)
    assert (losses["loss_bbox"] > 0) == (max(counts) > 0)


def test_one_class() -> None:
    losses = step(small_mask_dino(num_things_classes=1), [2, 3], num_classes=1)
    assert losses["loss_ce"] > 0


def test_stuff() -> None:
    """Stuff regions are objects like any other, with a box around each."""
    model = small_mask_dino(num_stuff_classes=2)
    losses = step(model, [0, 0], stuff=[3, 4])
    assert losses["loss_mask"] > 0 and losses["loss_bbox"] > 0
    assert step(model, [2, 1], stuff=[3])["loss_bbox"] > 0


SOFTMAX = dict(two_stage=False, init_box=None, softmax=True)


@pytest.mark.parametrize("counts", [[3, 1], [0, 0]], ids=str)
def test_learned_queries_and_softmax(counts: list[int]) -> None:
    """The loss of the classes is F.cross_entropy's weighted mean, as in the official model."""
    model = small_mask_dino(**SOFTMAX, test_cfg=dict(instance_on=False, semantic_on=True))
    assert len(step(model, counts)) == 25
    logits = torch.randn(2, 20, 4)
    prediction = Prediction(logits, torch.rand(2, 20, 4), torch.randn(2, 20, 4, 6))
    truths = ground_truths(batch(counts)[1], 3, 3, torch.device("cpu"))
    classes = torch.full((2, 20), 3)
    pairs = model.panoptic_head.criterion.match(prediction, truths)
    for image, (query, index) in enumerate(pairs):
        classes[image, query] = truths[image].labels[index]
    expected = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), classes, torch.tensor([1, 1, 1, 0.1])
    )
    terms = model.panoptic_head.criterion._terms(prediction, truths, pairs, torch.tensor(1.0))
    torch.testing.assert_close(terms["loss_ce"], 4 * expected)


def test_softmax_results() -> None:
    test_cfg = dict(instance_on=False, semantic_on=True)
    model = small_mask_dino(test_cfg=test_cfg, **SOFTMAX)
    images, samples = batch([1])
    with torch.no_grad():
        (sample,) = model(images, samples, mode="predict")
    assert sample.pred_sem_seg.sem_seg.amax() < 3
    with pytest.raises(ValueError, match="semantic results alone: set instance_on=False"):
        small_mask_dino(**SOFTMAX, test_cfg=dict(instance_on=True))
    with pytest.raises(ValueError, match="softmax=True does not go with FocalLoss"):
        small_mask_dino(**SOFTMAX, test_cfg=test_cfg, loss=dict(loss_cls=dict(type="FocalLoss")))


def test_semantic_pictures_without_objects() -> None:
    model = small_mask_dino(num_things_classes=0, num_stuff_classes=3)
    images, samples = batch([0, 0], stuff=[0, 2])
    for sample in samples:
        sample.gt_instances = InstanceData()
    losses = model.train()(images, samples, mode="loss")
    assert all(losses[f"{term}_dn"] > 0 for term in TERMS)


def test_overflowing_predictions_do_not_stop_the_matching() -> None:
    model = small_mask_dino()
    torch.nn.init.constant_(model.panoptic_head.mask_embed.layers[-1].bias, float("inf"))
    images, samples = batch([2, 1])
    model.train()(images, samples, mode="loss")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast(dtype: torch.dtype) -> None:
    """Encoder and decoder stay in float32; the losses are finite and near those of float32."""
    model = small_mask_dino(dict(fdam=FDAM))
    seen = []
    for layer in (*model.panoptic_head.pixel_decoder.encoder.layers,
                  *model.panoptic_head.decoder.layers):  # fmt: skip
        layer.register_forward_hook(lambda *a: seen.append(a[-1].dtype))
    exact = step(model, [3, 1])
    with torch.autocast("cpu", dtype):
        losses = step(model, [3, 1])
    assert set(seen) == {torch.float32}
    assert sum(losses.values()).item() == pytest.approx(sum(exact.values()).item(), rel=0.1)


def test_activation_checkpoints_change_nothing() -> None:
    plain, saving = small_mask_dino(), small_mask_dino()
    saving.panoptic_head.pixel_decoder.encoder.with_cp = True
    saving.load_state_dict(plain.state_dict())
    assert step(plain, [2, 1]) == step(saving, [2, 1])
    pairs = zip(plain.parameters(), saving.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs)


def test_results() -> None:
    test_cfg = dict(panoptic_on=True, semantic_on=True, object_mask_thr=0.0, iou_thr=0.0)
    model = small_mask_dino(num_stuff_classes=2, test_cfg=test_cfg)
    images, samples = batch([1, 0])
    samples[1].set_metainfo(dict(img_shape=(60, 40), ori_shape=(30, 20)))
    with torch.no_grad():
        first, second = model(images, samples, mode="predict")
    assert first.pred_instances.masks.shape[1:] == first.pred_panoptic_seg.sem_seg.shape[1:]
    assert first.pred_sem_seg.sem_seg.shape == (1, 128, 192)
    assert second.pred_sem_seg.sem_seg.shape == (1, 30, 20)
    assert first.pred_instances.labels.max() < 3
    with torch.no_grad():
        samples = model.predict(images, samples, rescale=False)
    assert samples[0].pred_sem_seg.sem_seg.shape == (1, *SIZE)


def test_semantic_results_alone() -> None:
    model = small_mask_dino(test_cfg=dict(instance_on=False, semantic_on=True))
    images, samples = batch([1])
    with torch.no_grad():
        (sample,) = model(images, samples, mode="predict")
    assert sample.pred_sem_seg.sem_seg.shape == (1, 128, 192)
    assert "pred_instances" not in sample


def test_boxes_are_relative_to_the_padded_batch() -> None:
    model = small_mask_dino()
    images, samples = batch([0])
    samples[0].set_metainfo(dict(img_shape=(32, 48), ori_shape=(64, 96)))
    with torch.no_grad():
        boxes = model.panoptic_head(model.extract_feat(images)).layers[-1].boxes[0]
        (sample,) = model.predict(images, samples)
    height, width = (2 * side for side in SIZE)  # the padded batch at the original's scale
    corner = boxes[:, :2] - boxes[:, 2:] / 2
    expected = corner * torch.tensor([width, height])
    distance = torch.cdist(sample.pred_instances.bboxes[:, :2], expected).min(1).values
    assert distance.max() < 1e-3


def test_too_small_pictures() -> None:
    model = small_mask_dino(num_queries=500)
    with pytest.raises(ValueError, match="500 queries cannot be selected from .* tokens"):
        model(batch([1])[0], mode="tensor")


def test_settings() -> None:
    with pytest.raises(ValueError, match="init_box 'box' is none of"):
        small_mask_dino(init_box="box")
    with pytest.raises(ValueError, match="init_box 'bitmask' needs two_stage=True"):
        small_mask_dino(init_box="bitmask", two_stage=False)
    with pytest.raises(ValueError, match="num_encoder_inputs 3 must be in 1 .. 4"):
        small_mask_dino(dict(num_levels=2))


def test_objects_without_masks() -> None:
    images, samples = batch([2, 1])
    del samples[0].gt_instances.masks
    with pytest.raises(ValueError, match="objects without masks.*with_mask=True"):
        small_mask_dino().train()(images, samples, mode="loss")
