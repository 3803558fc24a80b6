"""An mmcv without compiled operations: what needs none runs, what needs one is refused first."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from support.mask_dino import batch, small_mask_dino
from support.paths import ROOT, python_path

import fdam_mm.openmmlab  # noqa: F401
from fdam_mm.apis import load_model, predict
from fdam_mm.data.demo.demo_set import write_demo_set
from fdam_mm.errors import OperationError
from fdam_mm.models.mask_dino.transformer import deformable
from fdam_mm.models.mask_dino.transformer.tokens import flatten_maps
from fdam_mm.toolkits import operations
from fdam_mm.toolkits.needed_operations import needed, require_operations
from fdam_mm.training.config import read_config

LAYER = "roi_extractor.roi_layer (RoIAlignRotated) needs mmcv's operation RoIAlignRotated"
SIZES = (9, 7), (5, 4)
LEVELS = dict(fdam=dict(att_inv=True, freq_scale=True))


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A training, predictions and a Mask DINO in a process whose mmcv has no operations."""
    folder = tmp_path_factory.mktemp("without")
    write_demo_set(folder / "demo", num_train=8, num_val=4, size=64)
    script = ROOT / "tests/support/without_operations.py"
    done = subprocess.run(
        [sys.executable, script, folder / "demo", folder / "run"],
        env={**os.environ, "PYTHONPATH": python_path(ROOT / "tests"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, json.loads(done.stdout.splitlines()[-1])


def test_a_segmentor_trains_and_predicts(there: tuple[Path, dict[str, Any]]) -> None:
    folder, found = there
    assert found["steps"] == [3, 6]
    model = load_model(folder / "run", device="cpu")  # here, with operations
    pictures = sorted((folder / "demo/images/validation").glob("*.jpg"))
    results = predict(model, pictures, progress=False)
    assert [result.labels.tolist() for result in results] == found["labels"]


def test_mask_dino_has_the_same_numbers_and_warns_once(
    there: tuple[Path, dict[str, Any]],
) -> None:
    found = there[1]
    model = small_mask_dino(LEVELS)
    torch.manual_seed(1)
    losses = model.loss(*batch([2, 1]))
    assert found["losses"] == pytest.approx({k: v.item() for k, v in losses.items()}, rel=1e-5)
    (warning,) = found["warnings"]
    assert "mmcv is installed without its compiled operations" in warning


def test_a_detector_is_refused_by_name(there: tuple[Path, dict[str, Any]]) -> None:
    refusal = there[1]["oriented"]
    assert refusal.startswith(f"config {ROOT}") and LAYER in refusal
    assert "mmcv is installed without its compiled operations; `make install`" in refusal


def test_info_tells(there: tuple[Path, dict[str, Any]]) -> None:
    assert "without its compiled operations: segmentation and Mask DINO run" in there[1]["info"]


CONFIGS = sorted(file for file in (ROOT / "configs").rglob("*.py") if "_base_" not in file.parts)


@pytest.mark.parametrize("folder", sorted({file.parent.name for file in CONFIGS}))
def test_what_the_configs_need(folder: str) -> None:
    files = [file for file in CONFIGS if file.parent.name == folder]
    for file in [file for file in files if not file.name.startswith("fdam-")] or files:
        config = read_config(str(file), {})
        found = {need.operation for need in needed(config, "model")}
        evaluated = {need.operation for need in needed(config, "val_evaluator")}
        if config.default_scope != "mmrotate":
            assert not found | evaluated, file
            continue
        assert "nms_rotated" in found, file
        assert "box_iou_rotated" in evaluated, file


def test_settings_that_name_an_operation() -> None:
    model = dict(
        type="MaskRCNN",
        backbone=dict(type="ResNet", dcn=dict(type="DCNv2")),
        neck=[dict(type="FPN", upsample_cfg=dict(type="carafe"))],
        roi_head=dict(roi_layer=dict(type="RoIAlign"), pool=dict(type="SimpleRoIAlign")),
        test_cfg=dict(nms=dict(type="soft_nms"), mask=dict(type="FocalLoss")),
    )
    found = list(needed(Config(dict(default_scope="mmdet", model=model)), "model"))
    assert [(need.key, need.operation) for need in found] == [
        ("model.backbone.dcn", "ModulatedDeformConv2dPack"),
        ("model.neck[0].upsample_cfg", "carafe"),
        ("model.roi_head.roi_layer", "RoIAlign"),
        ("model.test_cfg.nms", "soft_nms"),
    ]


def test_operations_for_the_cpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "compiled_for", lambda: "not available")
    oriented = read_config(str(ROOT / "configs/demo/oriented-rcnn_lsknet_demo.py"), {})
    require_operations(oriented, "cpu")
    with pytest.raises(OperationError, match=f"{re.escape(LAYER)}, .* for the CPU alone"):
        require_operations(oriented, "cuda")
    require_operations(oriented, "cuda", "val_evaluator")  # which measures on the CPU
    require_operations(read_config(str(ROOT / "configs/demo/mask-dino_demo.py"), {}), "cuda")


def test_mask_dino_on_a_gpu_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(operations, "compiled_for", lambda: "not available")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(deformable, "print_log", lambda text, *_: heard.append(text))
    deformable._warn.cache_clear()
    for _ in range(2):
        layer = deformable.DeformableSelfAttention(16, 2, 2, 2, dict())
    assert not layer.has_kernel
    assert len(heard) == 1 and "were compiled for the CPU alone" in heard[0]
    deformable._warn.cache_clear()


@pytest.mark.gpu
def test_grid_sample_equals_the_kernel() -> None:
    layer = deformable.DeformableSelfAttention(32, 4, 2, 4, dict()).cuda()
    x, levels = flatten_maps([torch.randn(2, 32, *size, device="cuda") for size in SIZES])
    position, reference = torch.randn_like(x), torch.rand(x.shape[1], 2, device="cuda")
    by_kernel = layer(x, position, reference, levels)
    layer.has_kernel = False
    assert torch.allclose(layer(x, position, reference, levels), by_kernel, atol=1e-5)
