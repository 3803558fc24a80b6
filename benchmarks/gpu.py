"""Time FDAM on an NVIDIA GPU, and its errors in 16 bits: what `make bench-gpu` runs.

- gpu: a block plain, with kernels, formulas and the textbook's FDAM, in bfloat16 (autocast) and
  float32: as Python launches it, and for inference also as a CUDA graph, the GPU's own time
- errors_cuda, errors_cuda_formulas: errors against float64, with kernels and without
- forms_cuda: FreqScale's two forms without kernels, as CUDA graphs
- growth_cuda: a block over grids and batches
- gpu_compiled: blocks under torch.compile, inference as a CUDA graph, and a training step

Each writes FOLDER/NAME.json after every case and, started again, goes on with those that are left.
Figures are medians of CUDA events, the variants interleaved. After --minutes no further case
begins, and what is left out is said.

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
from fdam_mm.benchmarking.layers import MODES, bench_block, block_step, make_block
from fdam_mm.benchmarking.memory import peak_mib
from fdam_mm.benchmarking.results import Cases, Measurement, measure_each, remaining
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
Part = list[Measurement]


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
        gpu=[
            measurement(time_blocks, rounds, **shape(*sizes), dtype=dtype, mode=mode)
            for sizes in BLOCKS
            for dtype in DTYPES
            for mode in ("inference", "graph", "step")
        ],
        errors_cuda=bench_errors(DEVICE),
        errors_cuda_formulas=[
            Measurement(m.settings, without_kernels(m.run)) for m in bench_errors(DEVICE)
        ],
        forms_cuda=[measurement(time_forms, rounds, **shape(*sizes, 2)) for sizes in FORMS],
        growth_cuda=[
            measurement(time_growth, rounds, **shape(64, *sizes), dtype=dtype, mode=mode)
            for sizes in GROWTH
            for dtype in DTYPES
            for mode in MODES
        ],
        gpu_compiled=[
            measurement(time_compiled, rounds, **shape(*BLOCKS[0]), dtype="bfloat16", mode=mode)
            for mode in ("compiled graph", "compiled step")
        ],
    )


def shape(dim: int, grid: int, batch: int) -> dict[str, int]:
    return dict(dim=dim, grid=grid, batch=batch)


def measurement(time_it: Callable[..., Cases], rounds: int, **settings: Any) -> Measurement:
    """A call of ``time_it``, whose case holds the settings."""
    return Measurement(settings, partial(time_it, **settings, rounds=rounds))


def run_part(name: str, part: Part, file: Path, end: float) -> None:
    """Measure and write what begins before ``end``, of :func:`time.monotonic`."""
    results = measure_each(part, "make bench-gpu", DEVICE, file, end)
    if left := remaining(part, results["cases"]):
        print(f"{name}: {len(left)} of {len(part)} left out, after --minutes")
    else:
        print("\n".join([f"\n{file}", *make_table(results)]), flush=True)


def time_blocks(dim: int, grid: int, batch: int, dtype: str, mode: str, rounds: int) -> Cases:
    """A block at inference, as a CUDA graph too, or in a training step."""
    torch.manual_seed(0)
    variants = {"plain": "plain", "kernels": "fdam", "textbook": "reference"}
    blocks = {name: make_block("vit", dim, kind).to(DEVICE) for name, kind in variants.items()}
    x = torch.randn(batch, grid * grid, dim, device=DEVICE)
    steps: dict[str, Step] = {
        kind: block_step(block, x, (grid, grid), mode == "step", dtype)
        for kind, block in blocks.items()
    }
    steps["formulas"] = without_kernels(steps["kernels"])
    calls = {k: captured(step) for k, step in steps.items()} if mode == "graph" else steps
    times = summarise(measure(calls, rounds, DEVICE, warm_up=4))
    for kind, step in steps.items():
        times[kind]["peak_mib"] = peak_mib(step, DEVICE)
    return [dict(dim=dim, grid=grid, batch=batch, dtype=dtype, mode=mode, variants=times)]


def time_growth(dim: int, grid: int, batch: int, dtype: str, mode: str, rounds: int) -> Cases:
    """A block with one head, plain and with FDAM."""
    sizes = ("vit", dim, grid, batch, mode, ("plain", "fdam"), min(rounds, 7), DEVICE, dtype)
    return bench_block(*sizes)


def time_compiled(dim: int, grid: int, batch: int, dtype: str, mode: str, rounds: int) -> Cases:
    """Compiled blocks, one graph each: inference as a CUDA graph, or a training step."""
    x = torch.randn(batch, grid * grid, dim, device=DEVICE)
    torch._dynamo.reset()
    steps: dict[str, Step] = {}
    for name, kind in dict(plain="plain", kernels="fdam", formulas="fdam").items():
        torch.manual_seed(0)
        block = torch.compile(make_block("vit", dim, kind).to(DEVICE), fullgraph=True)
        step = block_step(block, x, (grid, grid), mode == "compiled step", dtype)
        step = without_kernels(step) if name == "formulas" else step
        steps[name] = step if mode == "compiled step" else captured(step)
    times = summarise(measure(steps, rounds, DEVICE))
    return [dict(dim=dim, grid=grid, batch=batch, dtype=dtype, mode=mode, variants=times)]


def time_forms(dim: int, grid: int, batch: int, rounds: int) -> Cases:
    """FreqScale by Fourier matrices and by the FFT, forward, as CUDA graphs."""
    layer = FreqScale(dim).to(DEVICE)
    x = torch.randn(batch, grid, grid, dim, device=DEVICE)
    forms = dict(matrices=layer.by_matrices, fft=layer.by_fft)
    steps = {name: captured(forward(form, x)) for name, form in forms.items()}
    times = summarise(measure(steps, rounds, DEVICE))
    case = dict(layer="FreqScale", dim=dim, grid=grid, batch=batch, mode="graph")
    return [dict(**case, variants=times)]


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
