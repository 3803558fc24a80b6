"""An exported Oriented R-CNN finds what torch finds, and its parts are the toolkits'."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.export_models import SIZE, oriented_rcnn
from support.without_torch import predict_without_torch
from torch import nn

from fdam_mm.apis import predict
from fdam_mm.apis.results import OrientedResult
from fdam_mm.export.exporting import export
from fdam_mm.export.roi_align import pool_rotated
from fdam_mm.export.rotated import midpoint_boxes
from fdam_mm.runtime import Description, load
from fdam_mm.runtime.rotated_nms import rotated_nms


@pytest.fixture(scope="module")
def detector() -> nn.Module:
    return oriented_rcnn()


@pytest.fixture(scope="module")
def file(
    detector: nn.Module, picture: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    out = tmp_path_factory.mktemp("export") / "rotated.onnx"
    export(detector, out, [SIZE], check=[picture[:64, :96]])
    return out


def test_a_picture_of_the_models_size_gets_torchs_boxes(
    file: Path, detector: nn.Module, picture: np.ndarray
) -> None:
    crop = picture[:64, :96].copy()
    (expected,) = predict(detector, crop, progress=False)
    found = load(file)(crop)
    assert isinstance(found, OrientedResult) and isinstance(expected, OrientedResult)
    assert 0 < len(found) == len(expected) and found.classes == expected.classes
    np.testing.assert_allclose(found.objects.scores, expected.objects.scores, atol=1e-4)
    np.testing.assert_array_equal(found.objects.labels, expected.objects.labels)
    np.testing.assert_allclose(found.objects.corners(), expected.objects.corners(), atol=0.05)
    about = Description.read(file.with_suffix(".json"))
    assert about.suppression is not None and about.suppression.iou_threshold == 0.1


def test_without_torch(file: Path, tmp_path: Path) -> None:
    predict_without_torch(file, tmp_path)
    assert (tmp_path / "picture.txt").exists() and (tmp_path / "picture.jpg").exists()


def test_other_sizes_and_tiles(file: Path, picture: np.ndarray) -> None:
    model = load(file)
    boxes = model(picture).objects
    assert (np.diff(boxes.scores) <= 0).all()
    tiled = model(picture, tile=64).objects
    assert tiled.boxes[:, 0].max() > 96 and tiled.boxes[:, 1].max() > 64


def test_rotated_alignment_is_mmcvs() -> None:
    from mmrotate.models.roi_heads.roi_extractors import RotatedSingleRoIExtractor

    layer = dict(type="RoIAlignRotated", out_size=7, sample_num=2, clockwise=True)
    extractor = RotatedSingleRoIExtractor(
        roi_layer=layer, out_channels=3, featmap_strides=[4, 8, 16], finest_scale=28
    )
    torch.manual_seed(0)
    maps = [torch.randn(1, 3, 24 // 2**i, 32 // 2**i) for i in range(3)]
    boxes = torch.rand(50, 5) * torch.tensor([150, 120, 140, 60, 3.0])  # some leave the picture
    boxes = boxes + torch.tensor([-10, -10, 1, 1, -1.5])
    expected = extractor(maps, torch.cat([torch.zeros(50, 1), boxes], dim=1))
    layers = extractor.roi_layers
    scales = [each.spatial_scale for each in layers]
    found = pool_rotated(maps, boxes, scales, 28, layers[0].output_size, 2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("version", ["le90", "le135"])
def test_midpoint_boxes_are_mmrotates(version: str) -> None:
    from mmrotate.models.task_modules.coders import MidpointOffsetCoder

    coder = MidpointOffsetCoder(
        angle_version=version, target_stds=[1.0, 1.0, 1.0, 1.0, 0.5, 0.5], use_box_type=False
    )
    torch.manual_seed(0)
    corner = torch.rand(200, 2) * 100
    anchors = torch.cat([corner, corner + 5 + torch.rand(200, 2) * 60], dim=1)
    deltas = torch.randn(200, 6) * 0.7
    expected = coder.decode(anchors, deltas)
    found = midpoint_boxes(anchors, deltas, coder)
    torch.testing.assert_close(found[:, :2], expected[:, :2], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(_corners(found), _corners(expected), rtol=1e-3, atol=0.05)


def _corners(boxes: torch.Tensor) -> torch.Tensor:
    """Sorted, so that it does not matter where they begin."""
    from fdam_mm.oriented.boxes import OrientedBoxes

    corners = OrientedBoxes(boxes.numpy(), *[np.zeros(len(boxes))] * 2).corners()
    turned = corners[..., 0] + 1.37 * corners[..., 1]  # no two corners alike
    order = turned.argsort(1)
    return torch.from_numpy(np.take_along_axis(corners, order[..., None], 1)).float()


@pytest.mark.parametrize("threshold", [0.1, 0.5])
def test_suppression_is_mmcvs(threshold: float) -> None:
    from mmcv.ops import batched_nms

    generator = np.random.default_rng(0)
    boxes = generator.random((300, 5)) * [200, 200, 60, 30, 3] + [0, 0, 2, 2, -1.5]
    scores, labels = generator.random(300), generator.integers(0, 3, 300)
    _, expected = batched_nms(
        torch.from_numpy(boxes).float(), torch.from_numpy(scores).float(),
        torch.from_numpy(labels), dict(type="nms_rotated", iou_threshold=threshold),
    )  # fmt: skip
    found = rotated_nms(boxes.astype(np.float32), scores, labels, threshold)
    np.testing.assert_array_equal(found, expected.numpy())
