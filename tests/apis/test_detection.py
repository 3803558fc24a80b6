"""Predicting with detectors: as the toolkits' own inference, over tiles, and into files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
import torch
from mmdet.apis import inference_detector
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from PIL import Image
from pycocotools.coco import COCO
from torch import nn

from fdam_mm.apis import InstanceResult, OrientedResult, PanopticResult, load_model, predict
from fdam_mm.errors import ConfigError

ORIENTED = "configs/demo/fdam-oriented-rcnn_lsknet_demo.py"
PANOPTIC = "configs/demo/fdam-mask-dino_demo.py"


def untrained(config: str, **options: object) -> nn.Module:
    """A model with the same drawn weights every time."""
    torch.manual_seed(0)
    return load_model(config, device="cpu", options=options)


@pytest.fixture(scope="module")
def oriented() -> nn.Module:
    model = untrained(ORIENTED)
    head = model.roi_head.bbox_head
    head.fc_cls.weight.data.mul_(100)  # scores above the test's threshold
    return model


@pytest.fixture(scope="module")
def panoptic() -> nn.Module:
    """With segments, of whatever score."""
    settings = {"model.test_cfg.object_mask_thr": 0.0, "model.test_cfg.iou_thr": 0.0}
    return untrained(PANOPTIC, **settings)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (12, 16, 3), np.uint8)
    return cv2.resize(coarse, (256, 192), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def toolkit_scope() -> Iterator[None]:
    """mmdet's inference needs the scope that load_model does not leave behind."""
    with DefaultScope.overwrite_default_scope("mmrotate"):
        yield


def test_rotated_boxes_are_the_toolkits(
    oriented: nn.Module, picture: np.ndarray, tmp_path: Path, toolkit_scope: None
) -> None:
    file = tmp_path / "a.png"
    cv2.imwrite(str(file), picture)
    theirs = inference_detector(oriented, str(file)).pred_instances
    (ours,) = predict(oriented, file, progress=False)
    assert isinstance(ours, OrientedResult) and len(ours) > 0
    order = np.argsort(-theirs.scores.numpy(), kind="stable")
    np.testing.assert_array_equal(ours.objects.boxes, theirs.bboxes.numpy()[order])
    np.testing.assert_array_equal(ours.objects.labels, theirs.labels.numpy()[order])


def test_rotated_boxes_in_a_text(oriented: nn.Module, picture: np.ndarray, tmp_path: Path) -> None:
    (result,) = predict(oriented, picture, progress=False)
    lines = result.save(tmp_path).read_text().splitlines()
    assert len(lines) == len(result)
    *corners, name, score = lines[0].split()
    found = result.objects
    np.testing.assert_allclose(
        np.array(corners, float), found.corners()[0].ravel(), rtol=0, atol=0.006
    )
    assert name == result.classes[found.labels[0]]
    assert float(score) == pytest.approx(found.scores[0], abs=1e-5)
    assert result.draw(score=0).shape[1] == 256
    assert len(result.above(2)) == 0


def test_rotated_boxes_over_tiles(oriented: nn.Module, picture: np.ndarray) -> None:
    """A picture twice beside itself: each half is found again, moved."""
    wide = np.concatenate([picture, picture], axis=1)
    (alone,) = predict(oriented, picture, progress=False)
    (both,) = predict(oriented, wide, tile=256, overlap=0, progress=False)
    moved = alone.objects.boxes + np.array([256, 0, 0, 0, 0])
    everywhere = np.concatenate([alone.objects.boxes, moved])
    for box in both.objects.boxes:
        assert np.abs(everywhere - box).sum(1).min() < 1e-3
    assert len(alone) < len(both) <= 2 * len(alone)


BLOBS = np.array([(90, 90, 110, 96), (5, 7, 25, 12), (285, 190, 299, 195)])  # the largest first
NMS = dict(
    mmdet=dict(type="nms", iou_threshold=0.5), mmrotate=dict(type="nms_rotated", iou_threshold=0.1)
)


class BlobDetector(nn.Module):
    """Finds each connected white blob of a tile and notes how many tiles it got together.

    Args:
        scope: Of mmdet, with upright boxes, or of mmrotate.
        half: See the left half of a tile alone.
    """

    dataset_meta: ClassVar[dict] = dict(classes=("blob",))

    def __init__(self, scope: str = "mmrotate", half: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        toolkit = "" if scope == "mmdet" else "mmdet."
        steps = [dict(type=f"{toolkit}{step}") for step in ("LoadImageFromFile", "PackDetInputs")]
        loader = dict(dataset=dict(type="DOTADataset", pipeline=steps))
        model = dict(type="BlobDetector", test_cfg=dict(nms=NMS[scope]))
        self.cfg = Config(dict(default_scope=scope, test_dataloader=loader, model=model))
        self.rotated, self.half = scope == "mmrotate", half
        self.batches: list[int] = []

    def test_step(self, data: dict[str, list]) -> list[DetDataSample]:
        self.batches.append(len(data["inputs"]))
        for tile, sample in zip(data["inputs"], data["data_samples"], strict=True):
            sample.pred_instances = self._find(tile)
        return data["data_samples"]

    def _find(self, pixels: torch.Tensor) -> InstanceData:
        white = (pixels.numpy() == 255).all(axis=0).astype(np.uint8)
        stats = cv2.connectedComponentsWithStats(white)[2][1:]  # without the background
        if self.half:
            stats = stats[stats[:, 0] + stats[:, 2] / 2 < white.shape[1] / 2]
        x, y, width, height, area = torch.from_numpy(stats).float().T
        columns = [x, y, x + width, y + height]
        if self.rotated:
            columns = [x + width / 2, y + height / 2, width, height, 0 * x]
        labels = torch.zeros(len(stats)).long()
        return InstanceData(bboxes=torch.stack(columns, 1), scores=area / 1000, labels=labels)


@pytest.fixture
def blobs() -> np.ndarray:
    picture = np.zeros((200, 300, 3), np.uint8)
    for left, top, right, bottom in BLOBS:  # the first is in four tiles
        picture[top:bottom, left:right] = 255
    return picture


def centred(corners: np.ndarray) -> np.ndarray:
    """Centre and sides of (left, top, right, bottom)."""
    left, top, right, bottom = corners.T
    return np.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], axis=1)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_boxes_are_in_pixels_of_the_whole_picture_and_once(
    blobs: np.ndarray, batch_size: int
) -> None:
    model = BlobDetector()
    (found,) = predict(model, blobs, batch_size, tile=128, overlap=40, progress=False)
    np.testing.assert_allclose(found.objects.boxes[:, :4], centred(BLOBS))  # best first
    assert sum(model.batches) == 6 and max(model.batches) == batch_size


@pytest.mark.parametrize("scope", ["mmdet", "mmrotate"])
def test_tiles_in_several_views(blobs: np.ndarray, scope: str) -> None:
    """A detector that sees one half of each tile is shown the other by flips."""
    model = BlobDetector(scope, half=True)
    (plain,) = predict(model, blobs, tile=128, overlap=40, progress=False)
    (found,) = predict(model, blobs, 4, tile=128, overlap=40, tta=True, progress=False)
    assert len(plain) < len(BLOBS) == len(found)
    if scope == "mmdet":
        np.testing.assert_allclose(found.boxes, BLOBS)
        np.testing.assert_allclose(found.scores, [0.12, 0.1, 0.07])
    else:
        np.testing.assert_allclose(found.objects.boxes[:, :4], centred(BLOBS), atol=1e-4)
        np.testing.assert_allclose(np.sin(found.objects.boxes[:, 4]), 0, atol=1e-6)
        np.testing.assert_allclose(found.objects.scores, [0.12, 0.1, 0.07])


def test_masks_and_segments_have_no_views_yet(panoptic: nn.Module, picture: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="Masks and panoptic segments are not merged"):
        predict(panoptic, picture, tile=128, tta=True, progress=False)


def test_panoptic_segments(panoptic: nn.Module, picture: np.ndarray, tmp_path: Path) -> None:
    (result,) = predict(panoptic, picture, progress=False)
    assert isinstance(result, PanopticResult) and result.ids.shape == (192, 256)
    numbers = {segment.id for segment in result.segments}
    assert len(numbers) > 1
    assert set(np.unique(result.ids).tolist()) <= numbers | {0}
    content = json.loads(result.save(tmp_path).read_text())
    pixels = np.array(Image.open(tmp_path / "picture.png")).astype(int)
    np.testing.assert_array_equal(pixels @ [1, 256, 65536], result.ids)
    (annotation,) = content["annotations"]
    areas = {info["id"]: info["area"] for info in annotation["segments_info"]}
    assert sum(areas.values()) == np.count_nonzero(result.ids)
    assert result.draw().shape[1] == 256


def test_panoptic_segments_over_tiles(panoptic: nn.Module, picture: np.ndarray) -> None:
    (result,) = predict(panoptic, picture, tile=128, progress=False)
    assert result.ids.shape == (192, 256) and result.sample is None
    labels = result.labels
    assert len(result.segments) > 1
    for segment in result.segments:
        assert (labels[result.ids == segment.id] == segment.label).all()


def instances(boxes: list, masks: bool = True) -> InstanceResult:
    from pycocotools import mask as coco_mask

    from fdam_mm.apis.inputs import find_pictures

    (picture,) = find_pictures(np.zeros((40, 60, 3), np.uint8))
    rles = []
    for left, top, right, bottom in boxes:
        mask = np.zeros((40, 60), np.uint8, order="F")
        mask[top:bottom, left:right] = 1
        rles.append(coco_mask.encode(mask))
    scores = np.linspace(0.9, 0.1, len(boxes)).astype(np.float32)
    labels = np.arange(len(boxes)) % 2
    classes, palette = ("a", "b"), ((255, 0, 0), (0, 255, 0))
    return InstanceResult(
        picture, classes, palette, None, np.array(boxes, np.float32), scores, labels,
        rles if masks else None,
    )  # fmt: skip


@pytest.mark.parametrize("masks", [True, False])
def test_instances_as_coco(tmp_path: Path, masks: bool) -> None:
    result = instances([(5, 5, 30, 15), (20, 5, 40, 15), (45, 20, 55, 30)], masks)
    coco = COCO(str(result.save(tmp_path)))  # an independent reader
    found = coco.loadAnns(coco.getAnnIds())
    assert [entry["bbox"] for entry in found] == [
        [5, 5, 25, 10],
        [20, 5, 20, 10],
        [45, 20, 10, 10],
    ]
    assert [coco.cats[entry["category_id"]]["name"] for entry in found] == ["a", "b", "a"]
    if masks:
        for entry, mask in zip(found, result.masks, strict=True):
            np.testing.assert_array_equal(coco.annToMask(entry), mask)


def test_instances_drawn() -> None:
    result = instances([(5, 5, 30, 15)])
    drawn = result.draw(score=0.5)
    assert drawn[12, 20, 0] > 100 and not drawn[35, 50].any()  # red inside, black outside
    assert not instances([(5, 5, 30, 15)]).draw(score=0.95).any()


@pytest.mark.parametrize("kind", ["oriented", "panoptic", "instances"])
def test_supervision(kind: str, picture: np.ndarray, request: pytest.FixtureRequest) -> None:
    pytest.importorskip("supervision")
    if kind == "instances":
        result = instances([(5, 5, 30, 15), (20, 5, 40, 15)])
    else:
        (result,) = predict(request.getfixturevalue(kind), picture, progress=False)
    found = result.to_supervision()
    expected = len(result.segments) if kind == "panoptic" else len(result)
    assert len(found) == expected
