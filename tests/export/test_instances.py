"""An exported Mask DINO finds what torch finds, with onnxruntime alone."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.export_models import SIZE, mask_dino
from support.without_torch import predict_without_torch
from torch import nn

from fdam_mm.apis import predict
from fdam_mm.apis.results import InstanceResult
from fdam_mm.data.demo.demo_set import write_demo_set
from fdam_mm.errors import ExportError
from fdam_mm.export.agreeing import of_instances
from fdam_mm.export.exporting import export
from fdam_mm.export.measuring import measure
from fdam_mm.export.onnx_file import float32_modules
from fdam_mm.runtime import Description, load


@pytest.fixture(scope="module")
def dino() -> nn.Module:
    return mask_dino()


@pytest.fixture(scope="module")
def file(dino: nn.Module, picture: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    out = tmp_path_factory.mktemp("export") / "dino.onnx"
    export(dino, out, [SIZE], check=[picture, picture[:64, :96]])
    return out


def test_what_was_compared_is_written(file: Path) -> None:
    about = Description.read(file.with_suffix(".json"))
    assert (about.task, about.graphs[0].size) == ("instances", SIZE)
    assert about.check is not None and about.check["graphs"][0]["inputs"] == 2


def test_fdam_keeps_its_names(file: Path, dino: nn.Module) -> None:
    onnx = pytest.importorskip("onnx")
    (layer, *_) = float32_modules(dino)
    assert layer.startswith("panoptic_head.pixel_decoder.")
    nodes = onnx.load(file).graph.node  # by their names they stay in float32 in float16
    assert any(f"'model.{layer}'" in prop.value for node in nodes for prop in node.metadata_props)


def test_a_picture_of_the_models_size_gets_torchs_objects(
    file: Path, dino: nn.Module, picture: np.ndarray
) -> None:
    crop = picture[:64, :96].copy()
    (expected,) = predict(dino, crop, progress=False)
    found = load(file)(crop)
    assert isinstance(found, InstanceResult) and isinstance(expected, InstanceResult)
    assert 0 < len(found) == len(expected) and found.classes == expected.classes
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
    assert np.mean(found.masks != expected.masks) < 1e-3


def test_without_torch(file: Path, tmp_path: Path) -> None:
    predict_without_torch(file, tmp_path)
    assert (tmp_path / "picture.json").exists() and (tmp_path / "picture.jpg").exists()


def test_other_sizes_and_tiles(file: Path, picture: np.ndarray) -> None:
    model = load(file)
    whole = model(picture)
    assert whole.masks.shape[1:] == picture.shape[:2]
    assert (np.diff(whole.scores) <= 0).all() and (whole.labels < 6).all()  # no stuff
    tiled = model(picture, tile=64)
    assert tiled.masks.shape[1:] == picture.shape[:2]
    assert tiled.boxes[:, 2].max() > 96  # also right of the first tile


def test_average_precision_of_both(file: Path, dino: nn.Module, tmp_path: Path) -> None:
    write_demo_set(tmp_path, num_train=1, num_val=2, size=64, layout="coco")
    other: Any = copy.copy(dino)
    other.cfg = copy.deepcopy(dino.cfg)
    other.cfg.test_dataloader.dataset.data_root = str(tmp_path)
    other.cfg.test_evaluator[0].ann_file = str(tmp_path / "annotations/instances_val2017.json")
    found = measure(other, file, None)
    assert (found["name"], found["pictures"]) == ("segm_mAP", 2)
    assert 0 <= found["torch"] <= 1 and abs(found["torch"] - found["onnx"]) < 0.2


def test_any_size_is_refused(dino: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="MaskDINO has no export of any size.*--size"):
        export(dino, tmp_path / "a.onnx", dynamic=True)


def test_int8_is_refused(dino: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="MaskDINO has no export in int8: average precision"):
        export(dino, tmp_path / "a.onnx", precision="int8", calibrate="photos")


def test_queries_in_another_order_agree() -> None:
    generator = np.random.default_rng(0)
    expected = dict(
        logits=generator.normal(size=(2, 5, 3)), query_boxes=generator.random((2, 5, 4)),
        query_masks=generator.normal(size=(2, 5, 6, 7)),
    )  # fmt: skip
    order = [3, 0, 4, 2, 1]
    found = {name: values[:, order] for name, values in expected.items()}
    agreed = of_instances(expected, found)
    assert agreed.changed == 0 and all(error == 0 for error, _ in agreed.errors.values())
    found["query_masks"] = -found["query_masks"]
    agreed = of_instances(expected, found)
    assert agreed.changed == agreed.pixels == 2 * 5 * 6 * 7
    assert agreed.errors["query_masks"][0] == 2 * agreed.errors["query_masks"][1]
