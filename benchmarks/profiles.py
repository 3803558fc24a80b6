"""Where FDAM's time goes on a CPU: by kind of operation, beside the plain twin.

python benchmarks/profiles.py --out benchmarks/results/profiles.json
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from fdam_mm.benchmarking.layers import block_step, make_block
from fdam_mm.benchmarking.models import backbone_step, build_variant
from fdam_mm.benchmarking.profiles import KINDS, kind_of, profiles_table
from fdam_mm.benchmarking.results import Cases, Measurement, measure_each
from fdam_mm.cli.flops import twins
from fdam_mm.toolkits.scope import scope_of, toolkit_scope
from fdam_mm.training.config import read_config

Step = Callable[[], None]
BLOCKS = ((384, 14), (384, 32), (768, 32))  # channels, side of the grid
BACKBONES = (
    "configs/segformer/fdam-segformer_mit-b0_8xb2-160k_ade20k-512x512.py",
    "configs/lsknet/fdam-oriented-rcnn-le90_lsknet-t_fpn_1x_dota.py",
)
SIDE = 512  # of a picture


def subjects() -> Iterator[tuple[str, str, dict[str, Step]]]:
    """Title, mode and the steps of both variants."""
    for dim, grid in BLOCKS:
        torch.manual_seed(0)
        blocks = {name: make_block("vit", dim, name) for name in ("plain", "fdam")}
        x = torch.randn(1, grid**2, dim)
        for mode in ("inference", "step"):
            args = x, (grid, grid), mode == "step", "float32"
            title = f"block of {dim} channels, {grid} x {grid} tokens"
            yield title, mode, {name: block_step(b, *args) for name, b in blocks.items()}
    for path in BACKBONES:
        config = read_config(path, {})
        with toolkit_scope(scope_of(config)):
            plain, fdam = (model.backbone for model in twins(config, {}))
            models = {name: build_variant(name, plain, fdam, "cpu") for name in ("plain", "fdam")}
            pixels = torch.randn(1, 3, SIDE, SIDE)
            for mode in ("inference", "step"):
                steps = {k: backbone_step(m, pixels, mode == "step") for k, m in models.items()}
                yield f"{type(models['fdam']).__name__}, {SIDE} x {SIDE} pixels", mode, steps


def milliseconds(step: Step) -> dict[str, float]:
    """Of one step, by kind of operation."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        step()
    times = dict.fromkeys(KINDS, 0.0)
    for event in found.key_averages():
        times[kind_of(event.key)] += event.self_cpu_time_total / 1e3
    return times


def medians(steps: dict[str, Step], rounds: int) -> dict[str, dict[str, float]]:
    """Of each step and kind, over interleaved rounds after two that warm up."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in steps}
    for _ in range(rounds + 2):
        for name, step in steps.items():
            found[name].append(milliseconds(step))
    return {
        name: {kind: round(median(t[kind] for t in times[2:]), 4) for kind in KINDS}
        for name, times in found.items()
    }


def measurements(rounds: int) -> Iterator[Measurement]:
    for title, mode, steps in subjects():
        case = dict(subject=title, mode=mode)
        yield Measurement(case, partial(_case, case, steps, rounds))


def _case(case: dict[str, Any], steps: dict[str, Step], rounds: int) -> Cases:
    return [dict(**case, rounds=rounds, variants=medians(steps, rounds))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(1)
    command = shlex.join(["python", *sys.argv])
    found = list(measurements(args.rounds))
    results = measure_each(found, command, "cpu", args.out, kind="profiles")
    print("\n".join(profiles_table(results["cases"])))


if __name__ == "__main__":
    main()
