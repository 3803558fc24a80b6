"""Time a transformer block with FDAM on an NVIDIA GPU: plain, kernels, formulas, textbook.

For the shapes of the documentation, in bfloat16 (autocast) and float32: as Python launches it, and
for inference also as a CUDA graph, which has the GPU's own time; then FreqScale's two forms
without kernels. Figures are medians of CUDA events, the variants interleaved.

    python benchmarks/gpu.py --out work_dirs/gpu
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fdam_mm.benchmarking.layers import block_step, make_block
from fdam_mm.benchmarking.results import record, write_results
from fdam_mm.benchmarking.timing import measure, summarise
from fdam_mm.layers import FreqScale
from fdam_mm.layers.kernels import use_kernels

BLOCKS = [(768, 32, 8), (384, 32, 8), (768, 64, 2), (384, 14, 1), (384, 14, 64)]
FORMS = [
    (channels, side) for channels in (32, 64, 160, 384, 768) for side in (16, 40, 64, 96, 128)
]
DTYPES = ("bfloat16", "float32")
DEVICE = "cuda"
Step = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="a folder for the JSON files")
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no NVIDIA GPU that torch can use; nothing was measured")
    use_kernels()
    rounds = args.rounds
    for name, run in {
        "gpu": lambda: [c for s in BLOCKS for t in DTYPES for c in time_blocks(*s, t, rounds)],
        "gpu_compiled": lambda: [time_compiled(*BLOCKS[0], "bfloat16", rounds)],
        "forms_cuda": lambda: [time_forms(*shape, rounds) for shape in FORMS],
    }.items():
        file = args.out / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_results(file, record("make bench-gpu", DEVICE, run))
        print(f"written: {file}")


def time_blocks(dim: int, side: int, batch: int, dtype: str, rounds: int) -> list[dict[str, Any]]:
    """A case for inference, one for inference as a CUDA graph, and one for a training step."""
    torch.manual_seed(0)
    variants = {"plain": "plain", "kernels": "fdam", "textbook": "reference"}
    blocks = {name: make_block("vit", dim, kind).to(DEVICE) for name, kind in variants.items()}
    x = torch.randn(batch, side * side, dim, device=DEVICE)
    cases = []
    for mode in ("inference", "graph", "step"):
        steps: dict[str, Step] = {
            kind: block_step(block, x, (side, side), mode == "step", dtype)
            for kind, block in blocks.items()
        }
        steps["formulas"] = without_kernels(steps["kernels"])
        peak = {kind: peak_bytes(step) for kind, step in steps.items()}
        if mode == "graph":
            steps = {kind: captured(step) for kind, step in steps.items()}
        times = summarise(measure(steps, rounds, DEVICE, warm_up=4))
        for kind, figures in times.items():
            figures["peak_bytes"] = peak[kind]
        case = dict(dim=dim, grid=side, batch=batch, dtype=dtype, mode=mode, variants=times)
        cases.append(case)
        ratios = {kind: figures["ratio"]["median"] for kind, figures in times.items()}
        print(dim, side, batch, dtype, mode, times["plain"]["ms"]["median"], ratios, flush=True)
    return cases


def time_compiled(dim: int, side: int, batch: int, dtype: str, rounds: int) -> dict[str, Any]:
    """Inference of compiled blocks, as CUDA graphs."""
    torch.manual_seed(0)
    x = torch.randn(batch, side * side, dim, device=DEVICE)
    variants = dict(plain="plain", kernels="fdam", formulas="fdam")
    steps: dict[str, Step] = {}
    for name, kind in variants.items():
        torch._dynamo.reset()
        block = torch.compile(make_block("vit", dim, kind).to(DEVICE))
        step = block_step(block, x, (side, side), False, dtype)
        steps[name] = captured(without_kernels(step) if name == "formulas" else step)
    times = summarise(measure(steps, rounds, DEVICE))
    print("compiled", {name: f["ratio"]["median"] for name, f in times.items()}, flush=True)
    return dict(dim=dim, grid=side, batch=batch, dtype=dtype, mode="compiled", variants=times)


def time_forms(channels: int, side: int, rounds: int) -> dict[str, Any]:
    """FreqScale by Fourier matrices and by the FFT, forward on two images, as CUDA graphs."""
    layer = FreqScale(channels).to(DEVICE)
    x = torch.randn(2, side, side, channels, device=DEVICE)
    forms = dict(matrices=layer.by_matrices, fft=layer.by_fft)
    steps = {name: captured(forward(form, x)) for name, form in forms.items()}
    times = summarise(measure(steps, rounds, DEVICE))
    print(channels, side, {name: f["ms"]["median"] for name, f in times.items()}, flush=True)
    return dict(dim=channels, grid=side, batch=2, mode="graph", variants=times)


def forward(form: Callable[[Tensor], Tensor], x: Tensor) -> Step:
    @torch.no_grad()
    def step() -> None:
        form(x)

    return step


def without_kernels(step: Step) -> Step:
    def run() -> None:
        use_kernels(False)
        try:
            step()
        finally:
            use_kernels(True)

    return run


def captured(step: Step) -> Step:
    """``step`` as a CUDA graph: what is left is the GPU's time."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def peak_bytes(step: Step) -> int:
    """Memory above what is held before, at its highest."""
    step()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


if __name__ == "__main__":
    main()
