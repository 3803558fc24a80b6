"""Time FDAM on an NVIDIA GPU, and its errors in 16 bits: what `make bench-gpu` runs.

- gpu: a block plain, with kernels, formulas and the textbook's FDAM, in bfloat16 (autocast) and
  float32: as Python launches it, and for inference also as a CUDA graph, the GPU's own time
- errors_cuda, errors_cuda_formulas: errors against float64, with kernels and without
- forms_cuda: FreqScale's two forms without kernels, as CUDA graphs
- growth_cuda: a block over grids and batches
- gpu_compiled: blocks under torch.compile, inference as a CUDA graph, and a training step

Each writes FOLDER/NAME.json after every case. Figures are medians of CUDA events, the variants
interleaved. After --minutes no further case begins, and what is left out is said.

    python benchmarks/gpu.py --out work_dirs/gpu
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fdam_mm.benchmarking.errors import bench_errors
from fdam_mm.benchmarking.layers import bench_block, block_step, make_block
from fdam_mm.benchmarking.memory import peak_mib
from fdam_mm.benchmarking.results import Cases, record, write_results
from fdam_mm.benchmarking.tables import make_table
from fdam_mm.benchmarking.timing import measure, summarise
from fdam_mm.layers import FreqScale
from fdam_mm.layers.kernels import use_kernels

BLOCKS = [(768, 32, 8), (384, 32, 8), (768, 64, 2), (384, 14, 1), (384, 14, 64)]
FORMS = [
    (channels, side) for channels in (32, 64, 160, 384, 768) for side in (16, 40, 64, 96, 128)
]
GROWTH = [(14, 1), (32, 1), (64, 1), (128, 1), (256, 1)]
GROWTH += [(14, 4), (32, 4), (64, 4), (128, 4), (14, 16), (32, 16), (64, 16)]  # sides, batches
DTYPES = ("bfloat16", "float32")
DEVICE = "cuda"
Step = Callable[[], None]
Part = list[Callable[[], Cases]]  # each measures a case, or one in several modes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="a folder for the JSON files")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=8, help="begin no case after them (8)")
    parser.add_argument("--only", nargs="+", choices=parts(0), help="some of the above")
    args = parser.parse_args()
    if DEVICE == "cuda" and not torch.cuda.is_available():
        sys.exit("no NVIDIA GPU that torch can use; nothing was measured")
    use_kernels()
    args.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * args.minutes
    for name, part in parts(args.rounds).items():
        if args.only is None or name in args.only:
            run_part(name, part, args.out / f"{name}.json", end)


def parts(rounds: int) -> dict[str, Part]:
    """The most wanted first."""
    return dict(
        gpu=[partial(time_blocks, *s, t, rounds) for s in BLOCKS for t in DTYPES],
        errors_cuda=[partial(bench_errors, DEVICE)],
        errors_cuda_formulas=[without_kernels(partial(bench_errors, DEVICE))],
        forms_cuda=[partial(time_forms, *shape, rounds) for shape in FORMS],
        growth_cuda=[partial(time_growth, *size, t, rounds) for size in GROWTH for t in DTYPES],
        gpu_compiled=[partial(time_compiled, *BLOCKS[0], "bfloat16", rounds)],
    )


def run_part(name: str, part: Part, file: Path, end: float) -> None:
    """Measure and write what begins before ``end``, of :func:`time.monotonic`."""
    cases: Cases = []
    for index, measured in enumerate(part):
        if time.monotonic() > end:
            print(f"{name}: {len(part) - index} of {len(part)} left out, after --minutes")
            return
        results = record("make bench-gpu", DEVICE, measured)
        results["cases"] = cases = [*cases, *results["cases"]]
        write_results(file, results)
    print("\n".join([f"\n{file}", *make_table(results)]), flush=True)


def time_blocks(dim: int, side: int, batch: int, dtype: str, rounds: int) -> Cases:
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
        peak = {kind: peak_mib(step, DEVICE) for kind, step in steps.items()}
        if mode == "graph":
            steps = {kind: captured(step) for kind, step in steps.items()}
        times = summarise(measure(steps, rounds, DEVICE, warm_up=4))
        for kind, figures in times.items():
            figures["peak_mib"] = peak[kind]
        case = dict(dim=dim, grid=side, batch=batch, dtype=dtype, mode=mode, variants=times)
        cases.append(case)
    return cases


def time_growth(side: int, batch: int, dtype: str, rounds: int) -> Cases:
    """Inference and training step of a block with one head, plain and with FDAM."""
    few = min(rounds, 7)
    return bench_block("vit", 64, side, batch, ("plain", "fdam"), few, DEVICE, dtype)


def time_compiled(dim: int, side: int, batch: int, dtype: str, rounds: int) -> Cases:
    """Compiled blocks, one graph each: inference as a CUDA graph, and a training step."""
    x = torch.randn(batch, side * side, dim, device=DEVICE)
    cases = []
    for mode in ("compiled graph", "compiled step"):
        torch._dynamo.reset()
        steps: dict[str, Step] = {}
        for name, kind in dict(plain="plain", kernels="fdam", formulas="fdam").items():
            torch.manual_seed(0)
            block = torch.compile(make_block("vit", dim, kind).to(DEVICE), fullgraph=True)
            step = block_step(block, x, (side, side), mode == "compiled step", dtype)
            step = without_kernels(step) if name == "formulas" else step
            steps[name] = step if mode == "compiled step" else captured(step)
        times = summarise(measure(steps, rounds, DEVICE))
        case = dict(dim=dim, grid=side, batch=batch, dtype=dtype, mode=mode, variants=times)
        cases.append(case)
    return cases


def time_forms(channels: int, side: int, rounds: int) -> Cases:
    """FreqScale by Fourier matrices and by the FFT, forward on two images, as CUDA graphs."""
    layer = FreqScale(channels).to(DEVICE)
    x = torch.randn(2, side, side, channels, device=DEVICE)
    forms = dict(matrices=layer.by_matrices, fft=layer.by_fft)
    steps = {name: captured(forward(form, x)) for name, form in forms.items()}
    times = summarise(measure(steps, rounds, DEVICE))
    return [
        dict(layer="FreqScale", dim=channels, grid=side, batch=2, mode="graph", variants=times)
    ]


def forward(form: Callable[[Tensor], Tensor], x: Tensor) -> Step:
    @torch.no_grad()
    def step() -> None:
        form(x)

    return step


def without_kernels(step: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        use_kernels(False)
        try:
            return step()
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


if __name__ == "__main__":
    main()
