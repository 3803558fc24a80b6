"""benchmarks/gpu.py on a CPU and on tiny layers: it measures what it says, and runs to its end."""

import importlib
import sys
from types import ModuleType

import pytest
import torch
from support.tools import ROOT

pytest.importorskip("mmseg")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    gpu = importlib.import_module("gpu")
    monkeypatch.setattr(gpu, "DEVICE", "cpu")
    monkeypatch.setattr(gpu, "peak_bytes", lambda step: 0)
    monkeypatch.setattr(gpu, "use_kernels", lambda on=True: None)
    yield gpu
    sys.modules.pop("gpu")


def test_rows_of_blocks_and_layers(benchmark: ModuleType) -> None:
    rows = benchmark.time_blocks(64, 3, 1, "bfloat16", 2)
    seen = {(row["what"], row["variant"]) for row in rows}
    variants = ("plain", "fast", "textbook", "kernels")
    assert seen >= {(what, variant) for what in ("inference", "step") for variant in variants}
    rows = benchmark.time_layers(64, 3, 2, "float32", 2)
    assert [row["least_bytes"] for row in rows] == 2 * [4 * 2 * 9 * 64 * 4] + 2 * [
        2 * 2 * 9 * 64 * 4
    ]
    assert all(row["median_ms"] > 0 for row in rows)


def test_without_a_gpu_it_says_so(benchmark: ModuleType, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path / "out.json")])
    with pytest.raises(SystemExit, match="no NVIDIA GPU"):
        benchmark.main()
    assert not list(tmp_path.iterdir())
