"""Time and memory of a training step of Mask DINO: plain, with FDAM, and FDAM checkpointed.

A step is forward, losses and backward. The variants run interleaved on the same noise pictures;
times are medians of the process's CPU time (of CUDA events on a GPU) and their ratio to plain.
Memory is the peak of a step in a fresh process above what it held with the model built: of the
resident set on a CPU, of PyTorch's allocations on a GPU. `checkpointed` is `with_cp=True`.

example:
  python benchmarks/mask_dino.py --size 256 --batch 1 --threads 1
"""

import argparse
import multiprocessing
import resource
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from fdam_mm.apis.building import build_model
from fdam_mm.benchmarking.timing import measure, summarise
from fdam_mm.toolkits.quiet import quiet
from fdam_mm.training.config import read_config

with quiet():
    from mmdet.testing import demo_mm_inputs

CONFIG = "configs/mask_dino/mask-dino_r50_4scale_8xb2-lsj-12e_coco.py"
NAME = "model.panoptic_head.pixel_decoder"
FDAM = {f"{NAME}.fdam": dict(att_inv=True, freq_scale=True)}
VARIANTS = {
    "plain": {},
    "fdam": FDAM,
    "checkpointed": {**FDAM, f"{NAME}.encoder.with_cp": True},
}
MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default=CONFIG, help="a plain config of Mask DINO")
    parser.add_argument("--size", type=int, default=256, help="side of the square pictures")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--objects", type=int, default=10, help="in each picture")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    print(f"{Path(args.config).stem}, {args.size} x {args.size} pixels, batch {args.batch}")
    peaks = {name: in_fresh_process(peak_memory, name, args) for name in VARIANTS}
    torch.set_num_threads(args.threads)
    steps = {name: make_step(build(name, args), args) for name in VARIANTS}
    for name, found in summarise(measure(steps, args.rounds, args.device)).items():
        milliseconds, ratio = found["ms"]["median"], found["ratio"]["median"]
        print(f"{'training step':14} {name:12} {milliseconds:8.2f} ms  {ratio:5.3f} x plain")
    for name, peak in peaks.items():
        print(f"{'peak memory':14} {name:12} {peak:8.0f} MiB {peak / peaks['plain']:5.3f} x plain")


def build(variant: str, args: argparse.Namespace) -> nn.Module:
    """The model without pretrained weights."""
    config = read_config(args.config, VARIANTS[variant])
    torch.manual_seed(0)
    return build_model(config).train().to(args.device)


def make_step(model: nn.Module, args: argparse.Namespace) -> Callable[[], None]:
    data = demo_mm_inputs(
        args.batch,
        (3, args.size, args.size),
        num_items=[args.objects] * args.batch,
        num_classes=model.panoptic_head.num_things_classes,
        with_mask=True,
    )
    data = model.data_preprocessor(data, training=True)

    def step() -> None:
        losses = model(**data, mode="loss")
        model.parse_losses(losses)[0].backward()
        model.zero_grad()

    return step


def peak_memory(variant: str, args: argparse.Namespace) -> float:
    """MiB that a step needs; it must be the first of its process."""
    torch.set_num_threads(args.threads)
    step = make_step(build(variant, args), args)
    before = held(args.device)
    step()
    if args.device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    return torch.cuda.max_memory_allocated() / MIB - before


def held(device: str) -> float:
    """MiB in use now."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / MIB
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MIB


def in_fresh_process(function: Callable[..., float], *args: object) -> float:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, args)


if __name__ == "__main__":
    main()
