"""Time a transformer block with FDAM on an NVIDIA GPU: plain, formulas, kernels, textbook.

As `fdam bench layers`, for the shapes of the documentation, in bfloat16 and float32; and the two
layers alone, with the bytes they must move at least. Figures are medians of CUDA events, the
variants interleaved.

    python benchmarks/gpu.py --out work_dirs/gpu.json
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fdam_mm.benchmarking.layers import block_step, make_block
from fdam_mm.benchmarking.timing import measure
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.layers.kernels import use_kernels

BLOCKS = [(768, 32, 8), (384, 32, 8), (768, 64, 2), (384, 14, 1)]  # dim, side of the grid, batch
DTYPES = ("bfloat16", "float32")
DEVICE = "cuda"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="a JSON file")
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no NVIDIA GPU that torch can use; nothing was measured")
    found = {"machine": machine(), "blocks": [], "layers": []}
    for dim, side, batch in BLOCKS:
        for dtype in DTYPES:
            found["blocks"] += time_blocks(dim, side, batch, dtype, args.rounds)
            found["layers"] += time_layers(dim, side, batch, dtype, args.rounds)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=1) + "\n")
    print(f"written: {args.out}")


def machine() -> dict[str, str]:
    return {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
        "driver_memory_gib": f"{torch.cuda.get_device_properties(0).total_memory / 2**30:.0f}",
    }


def time_blocks(dim: int, side: int, batch: int, dtype: str, rounds: int) -> list[dict[str, Any]]:
    """A row per variant, for inference and for a training step."""
    variants = {"plain": "plain", "fast": "fdam", "textbook": "reference"}
    blocks = {name: make_block("vit", dim, kind).to(DEVICE) for name, kind in variants.items()}
    x = torch.randn(batch, side * side, dim, device=DEVICE)
    rows = []
    for name, train in (("inference", False), ("step", True)):
        steps = {
            kind: block_step(block, x, (side, side), train, dtype)
            for kind, block in blocks.items()
        }
        steps["kernels"] = with_kernels(steps["fast"])
        peak = {kind: peak_bytes(step) for kind, step in steps.items()}
        times = measure(steps, rounds, DEVICE)
        for kind, values in times.items():
            row = {"dim": dim, "grid": side, "batch": batch, "dtype": dtype, "what": name}
            rows.append(row | {"variant": kind, **summary(values), "peak_bytes": peak[kind]})
            say(rows[-1], statistics.median(times["plain"]))
    return rows


def time_layers(dim: int, side: int, batch: int, dtype: str, rounds: int) -> list[dict[str, Any]]:
    """AttInv and FreqScale alone, forward, beside the time the memory would need at least."""
    x, v, y = torch.randn(3, batch, side * side, dim, device=DEVICE, dtype=getattr(torch, dtype))
    mixer, scaling = AttInv(dim, dim // 64).to(DEVICE), FreqScale(dim).to(DEVICE)
    runs: dict[str, tuple[Callable[[], Tensor], int]] = {
        "att_inv": (lambda: mixer(x, v, y), 4),  # tensors read or written
        "freq_scale": (lambda: scaling(x, (side, side)), 2),
    }
    rows = []
    for name, (run, tensors) in runs.items():
        step = no_grad(run)
        times = measure({"fast": step, "kernels": with_kernels(step)}, rounds, DEVICE)
        for kind, values in times.items():
            row = {"layer": name, "dim": dim, "grid": side, "batch": batch, "dtype": dtype}
            least = tensors * x.numel() * x.element_size()
            rows.append(row | {"variant": kind, **summary(values), "least_bytes": least})
            print(rows[-1])
    return rows


def with_kernels(step: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        use_kernels()
        try:
            step()
        finally:
            use_kernels(False)

    return run


def no_grad(run: Callable[[], Tensor]) -> Callable[[], None]:
    @torch.no_grad()
    def step() -> None:
        run()

    return step


def peak_bytes(step: Callable[[], None]) -> int:
    """Memory above what is held before, at its highest."""
    step()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def summary(values: list[float]) -> dict[str, float]:
    low, median, high = statistics.quantiles(values, n=4)
    return {"median_ms": round(median, 4), "quartiles_ms": [round(low, 4), round(high, 4)]}


def say(row: dict[str, Any], plain: float) -> None:
    name = f"{row['dim']} {row['grid']}x{row['grid']} b{row['batch']} {row['dtype']} {row['what']}"
    ratio = row["median_ms"] / plain
    print(f"{name:40} {row['variant']:9} {row['median_ms']:8.3f} ms  {ratio:5.3f} x plain")


if __name__ == "__main__":
    main()
