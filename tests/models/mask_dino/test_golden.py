"""The official Mask DINO, from its weights to its losses and results."""

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from support.golden import Case, load_case, relative_error
from torch import Tensor, nn

from fdam_mm.checkpoints import convert, load_state
from fdam_mm.models import MaskDINOPixelDecoder
from fdam_mm.models.mask_dino.structures import GroundTruth, Outputs, to_relative
from fdam_mm.toolkits.registration import register_toolkit

FULL = "maskdino_instance_4level"
MEAN = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)


@pytest.fixture(scope="module")
def case() -> Case:
    return load_case(FULL)


@pytest.fixture(scope="module")
def model(case: Case) -> nn.Module:
    init_default_scope("mmdet")
    register_toolkit("mmdet")
    backbone = dict(type="ResNet", depth=50, norm_eval=True)
    head = dict(type="MaskDINOHead", pixel_decoder=dict(type="MaskDINOPixelDecoder"))
    model = MODELS.build(dict(type="MaskDINO", backbone=backbone, panoptic_head=head)).eval()
    load_state(model, convert(case.state), FULL, fit="exact")
    return model


@pytest.fixture(scope="module")
def batch(case: Case) -> Tensor:
    batch = torch.zeros(2, 3, *case.spec["config"]["batch_input_shape"])
    for target, name in zip(batch, ("image0", "image1"), strict=True):
        image = (case.outputs[name].float() - MEAN) / STD
        target[:, : image.shape[1], : image.shape[2]] = image
    return batch


@contextmanager
def recorded(layers: Iterable[nn.Module]) -> Iterator[list[Tensor]]:
    """Collects what the layers return."""
    outputs: list[Tensor] = []
    hooks = [layer.register_forward_hook(lambda *a: outputs.append(a[-1])) for layer in layers]
    yield outputs
    for hook in hooks:
        hook.remove()


@pytest.fixture(scope="module")
def encoded(model: nn.Module, batch: Tensor) -> dict[str, Any]:
    """What the backbone and the pixel decoder give, with the encoder's layers."""
    decoder = model.panoptic_head.pixel_decoder
    with torch.no_grad(), recorded(decoder.encoder.layers) as tokens:
        feats = model.extract_feat(batch)
        mask_features, maps = decoder(feats)
    return dict(feats=feats, tokens=tokens, mask_features=mask_features, maps=maps)


@pytest.fixture(scope="module")
def decoded(model: nn.Module, encoded: dict[str, Any]) -> tuple[Outputs, list[Tensor]]:
    """The head's outputs, and what the decoder's layers return."""
    head = model.panoptic_head
    with torch.no_grad(), recorded(head.decoder.layers) as hidden:
        outputs = head.decode(encoded["mask_features"], encoded["maps"])
    return outputs, hidden


def check(case: Case, name: str, ours: Tensor) -> None:
    """Our slice against the stored one, which is thinned further where it is large."""
    ours = ours[:, ::4] if ours.numel() > 5000 else ours
    assert relative_error(ours, case.outputs[name]) < 1e-4, name


def test_encoder(case: Case, encoded: dict[str, Any]) -> None:
    check(case, "feat:res2", encoded["feats"][0][:, ::16, ::4, ::4])
    check(case, "feat:res5", encoded["feats"][3][:, ::16, ::4, ::4])
    for index, tokens in enumerate(encoded["tokens"]):
        check(case, f"enc.{index}", tokens[:, ::13, ::8])
    check(case, "mask_features", encoded["mask_features"][:, ::16, ::4, ::4])


def test_decoder(case: Case, decoded: tuple[Outputs, list[Tensor]]) -> None:
    outputs, hidden = decoded
    check(case, "interm_logits", outputs.selected.logits[:, :, ::4])
    check(case, "interm_boxes", outputs.selected.boxes)
    for index, queries in enumerate(hidden):
        check(case, f"dec.{index}", queries[:, ::10, ::4])
    (last,) = outputs.layers
    check(case, "pred_logits", last.logits)
    check(case, "pred_boxes", last.boxes)
    check(case, "pred_masks", last.masks[:, ::10, ::4, ::4])


def results(case: Case, model: nn.Module, outputs: Outputs) -> list[InstanceData]:
    """Instances of both pictures."""
    size = tuple(case.spec["config"]["batch_input_shape"])
    samples = []
    for name in ("image0", "image1"):
        height, width = case.outputs[name].shape[1:]
        scale = case.spec["config"]["output_scale"]
        sizes = dict(img_shape=(height, width), batch_input_shape=size)
        sizes["ori_shape"] = (round(height * scale), round(width * scale))
        samples.append(DetDataSample(metainfo=sizes))
    found = model.panoptic_fusion_head.predict(outputs.layers[-1], samples)
    return [result["ins_results"] for result in found]


def partners(official: dict[str, Tensor], ours: InstanceData) -> Tensor:
    """For each of our results the official one of its label with the nearest box, one to one;
    scores and edges may be equal up to rounding, so that no order is safe."""
    other_label = ours.labels[:, None] != official["labels"]
    distance = (ours.bboxes[:, None] - official["boxes"]).abs().amax(-1)
    return torch.from_numpy(linear_sum_assignment(distance + 1e6 * other_label)[1])


def test_results(case: Case, model: nn.Module, decoded: tuple[Outputs, list[Tensor]]) -> None:
    for index, ours in enumerate(results(case, model, decoded[0])):
        names = ("scores", "labels", "boxes", "mask_areas")
        official = {name: case.outputs[f"post{index}:{name}"] for name in names}
        partner = partners(official, ours)
        official = {name: values[partner] for name, values in official.items()}
        torch.testing.assert_close(ours.scores, official["scores"], rtol=0, atol=1e-5)
        assert torch.equal(ours.labels, official["labels"].long())
        torch.testing.assert_close(ours.bboxes, official["boxes"], rtol=0, atol=1e-2)
        areas = ours.masks.flatten(1).sum(1).float()
        torch.testing.assert_close(areas, official["mask_areas"].float(), rtol=0, atol=0)


def test_fdam_starts_at_the_official_model(
    case: Case, model: nn.Module, encoded: dict[str, Any], decoded: tuple[Outputs, list[Tensor]]
) -> None:
    """The results are compared: queries of almost equal rank may change places."""
    head = model.panoptic_head
    fdam = MaskDINOPixelDecoder(fdam=dict(att_inv=True, freq_scale=True)).eval()
    load_state(fdam, head.pixel_decoder.state_dict(), FULL, fit="pretrained")
    with torch.no_grad():
        mask_features, maps = fdam(encoded["feats"])
        outputs = head.decode(mask_features, maps)
    assert 0 < relative_error(mask_features, encoded["mask_features"]) < 1e-3
    plain = results(case, model, decoded[0])
    for ours, official in zip(results(case, model, outputs), plain, strict=True):
        official = official[partners(dict(labels=official.labels, boxes=official.bboxes), ours)]
        assert torch.equal(ours.labels, official.labels)
        assert relative_error(ours.scores, official.scores) < 1e-3
        assert relative_error(ours.bboxes, official.bboxes) < 1e-3


@pytest.fixture
def drawn_by_shape(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Random numbers of the stored training step: they depend on the shape alone."""
    rand, randint = torch.rand, torch.randint

    def generator(shape: tuple[int, ...], salt: object) -> torch.Generator:
        seed = zlib.crc32(repr((tuple(map(int, shape)), salt)).encode())
        return torch.Generator().manual_seed(seed)

    def by_shape(*shape: int | tuple[int, ...], device: object = None) -> Tensor:
        shape = shape[0] if isinstance(shape[0], tuple) else shape
        return rand(shape, generator=generator(shape, "rand"))

    def integers(like: Tensor, low: int, high: int) -> Tensor:
        draw = generator(like.shape, (low, high))
        return randint(low, high, like.shape, generator=draw, dtype=like.dtype)

    monkeypatch.setattr(torch, "rand", by_shape)
    monkeypatch.setattr(
        torch, "rand_like", lambda x: rand(x.shape, generator=generator(x.shape, "like"))
    )
    monkeypatch.setattr(torch, "randint_like", integers)
    yield


def ground_truth(case: Case, index: int, size: tuple[int, int]) -> GroundTruth:
    boxes = case.outputs[f"target{index}:boxes_xyxy"]
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = True
    labels = case.outputs[f"target{index}:labels"].long()
    return GroundTruth(labels, to_relative(boxes, size), masks)


def test_training_step(
    case: Case, model: nn.Module, batch: Tensor, encoded: dict[str, Any], drawn_by_shape: None
) -> None:
    """All 105 terms, and the gradient of every parameter of the head."""
    head = model.panoptic_head
    truths = [ground_truth(case, index, tuple(batch.shape[2:])) for index in range(2)]
    outputs = head.decode(encoded["mask_features"], encoded["maps"], truths)
    assert outputs.num_groups == case.spec["dn"]["scalar"]
    assert outputs.denoising[0].logits.shape[1] == case.spec["dn"]["pad_size"]
    losses = head.criterion(outputs, truths)
    assert losses.keys() == case.spec["losses"].keys()
    for name, official in case.spec["losses"].items():
        assert losses[name].item() == pytest.approx(official, rel=1e-4), name
    head.zero_grad()
    sum(losses.values()).backward()
    official_norms = convert({k: torch.tensor(v) for k, v in case.spec["grad_norms"].items()})
    parameters = dict(model.named_parameters())
    for name, norm in official_norms.items():
        assert parameters[name].grad.norm().item() == pytest.approx(norm.item(), rel=1e-3), name
