"""A small EoMT is trained and predicts, by what is behind `fdam train` and `fdam predict`."""

from pathlib import Path

import pytest
import torch
from support.quick_start import start_quickly
from support.tools import ROOT

from fdam_mm.apis import PanopticResult, load_model, predict, train
from fdam_mm.data.demo.demo_set import write_demo_set


@pytest.fixture(autouse=True)
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    start_quickly(monkeypatch)


def test_segmentor(tmp_path: Path) -> None:
    write_demo_set(tmp_path / "demo", num_train=8, num_val=4, size=64)
    settings = {"data_root": str(tmp_path / "demo")}
    run = train(ROOT / "tests/support/tiny_eomt.py", tmp_path / "run", **settings)
    losses = [entry["loss"] for entry in run.metrics if "loss" in entry]
    assert len(losses) == 6 and losses[-1] < losses[0]
    assert run.best_checkpoint is not None
    model = load_model(run.work_dir, device="cpu")
    # after five of six iterations: one block, freed between a sixth and a third of the training
    assert model.backbone.masking.probs.tolist() == [0]
    pictures = sorted((tmp_path / "demo/images/validation").glob("*.jpg"))
    results = list(predict(model, pictures, progress=False))
    assert [result.labels.shape for result in results] == [(64, 64)] * 4
    assert torch.tensor(results[0].labels).max() < 7


def test_panoptic_detector(tmp_path: Path) -> None:
    write_demo_set(tmp_path / "demo", num_train=8, num_val=4, size=64, layout="coco")
    config = ROOT / "tests/support/tiny_eomt_panoptic.py"
    run = train(config, tmp_path / "run", data_root=f"{tmp_path / 'demo'}/")
    assert len([entry for entry in run.metrics if "loss" in entry]) == 4
    assert any("PQ" in key for entry in run.metrics for key in entry)
    model = load_model(run.work_dir, device="cpu")
    (picture, *_) = sorted((tmp_path / "demo/val2017").glob("*.jpg"))
    (result,) = predict(model, [picture], progress=False)
    assert isinstance(result, PanopticResult)
    assert result.ids.shape == (64, 64)
    assert {segment.id for segment in result.segments} <= set(result.ids.flatten().tolist())
