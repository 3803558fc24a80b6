"""Try ways to cut FreqScale's kernels on an NVIDIA GPU: the times behind `TILES`.

    python benchmarks/tune_kernels.py

Prints microseconds of each kernel, precision, grid and tile, the fastest of each last: inside a
CUDA graph of ten launches, so that the host does not count.
"""

import itertools
import multiprocessing
import statistics
from collections.abc import Callable

import torch
from gpu import captured, forward
from torch import Tensor

from fdam_mm.benchmarking.timing import measure
from fdam_mm.layers.kernels import freq_scale
from fdam_mm.layers.kernels.freq_scale_tiles import TILES, Tile

SHAPES = {16: (384, 14, 64), 32: (768, 32, 8)}  # tile: channels, side, batch
TRIED = [Tile(4, 4), Tile(8, 4), Tile(8, 8), Tile(8, 8, 128), Tile(8, 16), Tile(16, 8)]
TRIED += [Tile(16, 16)]
LAUNCHES = 10
Case = tuple[tuple[str, str, int], Tile]


def run(kernel: str, precision: str, side: int) -> Callable[[Tensor], None]:
    """A launch of a kernel with everything folded in."""
    channels, side, batch = SHAPES[side]
    dtype = torch.float32 if precision == "tf32x3" else torch.bfloat16
    hw = (side, side)
    x = torch.randn(batch, side * side, channels, device="cuda", dtype=dtype)
    other = torch.randn(x.shape, device="cuda")
    routing = torch.randn(batch, 16, 4, device="cuda")
    bases = torch.randn(4, channels // 16, 14, 8, device="cuda")
    gamma = torch.randn(channels, device="cuda")

    def launch(_: Tensor) -> None:
        if kernel == "scale":
            freq_scale.scale_maps(x, routing, bases, gamma, other, hw, other.dtype)
        else:
            freq_scale.scale_maps_backward(other, x, routing, bases, gamma, hw)

    return launch


def compile_one(case: Case) -> str | None:
    """What is wrong with a tile, if it does not run; else it is in Triton's cache."""
    key, tile = case
    TILES[key] = tile
    try:
        run(*key)(torch.empty(0))
        torch.cuda.synchronize()
    except Exception as error:  # a tile that does not compile is a result
        return repr(error)[:60]
    return None


def time_one(case: Case) -> float:
    """Microseconds."""
    key, tile = case
    TILES[key] = tile
    launch = run(*key)
    step = captured(forward(lambda x: [launch(x) for _ in range(LAUNCHES)], torch.empty(0)))
    return 1e3 / LAUNCHES * statistics.median(measure({"": step}, 15, "cuda")[""])


def main() -> None:
    cases = list(itertools.product(list(TILES), TRIED))
    with multiprocessing.get_context("spawn").Pool(14) as pool:
        wrong = pool.map(compile_one, cases, chunksize=1)
    best: dict[tuple[str, str, int], tuple[float, Tile]] = {}
    for case, reason in zip(cases, wrong, strict=True):
        time = None if reason else time_one(case)
        print(*case, reason or f"{time:.1f}", flush=True)
        if time is not None:
            best[case[0]] = min(best.get(case[0], (time, case[1])), (time, case[1]))
    for key, (time, tile) in best.items():
        print("fastest", key, tile, f"{time:.1f}")


if __name__ == "__main__":
    main()
