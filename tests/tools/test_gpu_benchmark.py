"""benchmarks/gpu.py on a CPU and on tiny layers: it measures what it says, and runs to its end."""

import functools
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from support.tools import ROOT

from fdam_mm.benchmarking.results import Measurement

pytest.importorskip("mmseg")

VARIANTS = ["plain", "kernels", "textbook", "formulas"]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    gpu = importlib.import_module("gpu")
    monkeypatch.setattr(gpu, "DEVICE", "cpu")
    monkeypatch.setattr(gpu, "captured", lambda step: step)
    monkeypatch.setattr(gpu, "use_kernels", lambda on=True: None)
    monkeypatch.setattr(gpu, "BLOCKS", [(64, 3, 1)])
    monkeypatch.setattr(gpu, "FORMS", [(32, 4), (64, 3)])
    monkeypatch.setattr(gpu, "GROWTH", [(3, 1), (4, 2)])
    error = dict(subject="a layer", dtype="float16", errors=dict(output=1e-3))
    errors = [Measurement(dict(subject="a layer"), lambda: [error])]
    monkeypatch.setattr(gpu, "bench_errors", lambda device: errors)
    compiler = functools.partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", compiler)
    yield gpu
    sys.modules.pop("gpu")


def run(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", *arguments, "--rounds", "1"])
    benchmark.main()


def test_all_parts(benchmark: ModuleType, monkeypatch, tmp_path: Path, capsys) -> None:
    run(benchmark, monkeypatch, "--out", str(tmp_path))
    found = {file.stem: json.loads(file.read_text())["cases"] for file in tmp_path.iterdir()}
    assert found.keys() == benchmark.parts(1).keys()
    assert [case["mode"] for case in found["gpu"]] == ["inference", "graph", "step"] * 2
    for case in found["gpu"]:
        assert list(case["variants"]) == VARIANTS
        assert all(f["ms"]["median"] > 0 < f["peak_mib"] for f in case["variants"].values())
    assert [case["mode"] for case in found["gpu_compiled"]] == ["compiled graph", "compiled step"]
    assert list(found["gpu_compiled"][0]["variants"]) == ["plain", "kernels", "formulas"]
    assert [(case["dim"], case["grid"]) for case in found["forms_cuda"]] == [(32, 4), (64, 3)]
    assert len(found["growth_cuda"]) == 2 * 2 * 2  # sizes, types, modes
    assert "| a layer | 1.0e-03 |" in capsys.readouterr().out


def test_after_its_minutes_no_case_begins(
    benchmark: ModuleType, monkeypatch, tmp_path: Path, capsys
) -> None:
    run(benchmark, monkeypatch, "--out", str(tmp_path), "--minutes", "0", "--only", "forms_cuda")
    assert capsys.readouterr().out == "forms_cuda: 2 of 2 left out, after --minutes\n"
    assert not list(tmp_path.iterdir())


def test_without_a_gpu_it_says_so(benchmark: ModuleType, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(benchmark, "DEVICE", "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no NVIDIA GPU"):
        run(benchmark, monkeypatch, "--out", str(tmp_path / "out"))
    assert not list(tmp_path.iterdir())
