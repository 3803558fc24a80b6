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
    monkeypatch.setattr(gpu, "captured", lambda step: step)
    monkeypatch.setattr(torch, "compile", lambda module: module)
    monkeypatch.setattr(gpu, "use_kernels", lambda on=True: None)
    yield gpu
    sys.modules.pop("gpu")


def test_cases_of_blocks_and_forms(benchmark: ModuleType) -> None:
    cases = benchmark.time_blocks(64, 3, 1, "bfloat16", 2)
    assert [case["mode"] for case in cases] == ["inference", "graph", "step"]
    for case in cases:
        assert list(case["variants"]) == ["plain", "kernels", "textbook", "formulas"]
        assert all(found["ms"]["median"] > 0 for found in case["variants"].values())
    compiled = benchmark.time_compiled(64, 3, 1, "bfloat16", 2)
    assert list(compiled["variants"]) == ["plain", "kernels", "formulas"]
    forms = benchmark.time_forms(64, 3, 2)
    assert list(forms["variants"]) == ["matrices", "fft"] and forms["grid"] == 3


def test_without_a_gpu_it_says_so(benchmark: ModuleType, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path / "out.json")])
    with pytest.raises(SystemExit, match="no NVIDIA GPU"):
        benchmark.main()
    assert not list(tmp_path.iterdir())
