"""``fdam bench``: what it writes, for blocks, backbones and models."""

import json
from pathlib import Path
from typing import Any

import pytest

from fdam_mm.benchmarking.layers import bench_block
from fdam_mm.benchmarking.results import Cases
from fdam_mm.cli import bench

SEGFORMER = "configs/demo/fdam-segformer_demo.py"
SMALL = ["--rounds", "1", "--shape", "96", "96"]


def _run(*arguments: str, folder: Path) -> dict:
    out = folder / "results.json"
    bench.main([*arguments, "--out", str(out)])
    return json.loads(out.read_text())


def test_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["layers", "--dim", "64", "--grid", "4", "6", "--rounds", "1"]
    results = _run(*arguments, "--against", "plain", "reference", folder=tmp_path)
    assert results["command"].endswith("--against plain reference")
    assert results["machine"]["threads"] == 1 and "torch" in results["machine"]
    assert len(results["cases"]) == 4
    assert list(results["cases"][0]["variants"]) == ["plain", "reference", "fdam"]
    assert (tmp_path / "results.png").is_file()
    assert "| vit, dim 64, 6 x 6 tokens, batch 1 |" in capsys.readouterr().out


def test_a_stopped_benchmark_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = ["layers", "--dim", "64", "--grid", "4", "6", "--rounds", "1"]
    begun: list[tuple[int, str]] = []

    def stopped(*args: Any, **settings: Any) -> Cases:
        begun.append((settings["grid"], settings["mode"]))
        if len(begun) == 3:
            raise KeyboardInterrupt
        return bench_block(*args, **settings)

    monkeypatch.setattr(bench, "bench_block", stopped)
    with pytest.raises(SystemExit):
        _run(*arguments, folder=tmp_path)
    results = _run(*arguments, folder=tmp_path)
    assert begun == [
        (4, "inference"),
        (4, "step"),
        (6, "inference"),
        (6, "inference"),
        (6, "step"),
    ]
    assert [(case["grid"], case["mode"]) for case in results["cases"]] == [*begun[:2], *begun[3:]]


@pytest.mark.parametrize("what", ["backbone", "train", "infer"])
def test_models_of_a_config(what: str, tmp_path: Path) -> None:
    against = ["--against", "plain", "mmseg", "reference"]
    results = _run(what, SEGFORMER, *SMALL, *against, folder=tmp_path)
    modes = dict(backbone=["inference", "step"], train=["step"], infer=["inference"])[what]
    assert [case["mode"] for case in results["cases"]] == modes
    for case in results["cases"]:
        assert list(case["variants"]) == ["plain", "mmseg", "reference", "fdam"]
        assert case["variants"]["fdam"]["ms"]["median"] > 0


@pytest.mark.parametrize(
    "config",
    [
        "configs/demo/fdam-oriented-rcnn_lsknet_demo.py",
        "configs/demo/fdam-mask-dino_demo.py",
    ],
)
def test_detectors_train(config: str, tmp_path: Path) -> None:
    results = _run("train", config, *SMALL, folder=tmp_path)
    assert list(results["cases"][0]["variants"]) == ["plain", "fdam"]


def test_what_mmseg_does_not_have() -> None:
    config = "configs/demo/fdam-oriented-rcnn_lsknet_demo.py"
    with pytest.raises(SystemExit, match="mmseg has no LSKNet"):
        bench.main(["backbone", config, *SMALL, "--against", "mmseg"])
