#!/usr/bin/env python
"""Memory, speed and checkpoint size of a long training: none of them may change with time.

A number is fitted, so that what the runner, its hooks and its log hold is all there is to see;
or ``--segmentor`` trains the small segmentor of ``segmentor.py``, with its validations.

examples:
  python benchmarks/endurance/memory.py
  python benchmarks/endurance/memory.py --segmentor --iterations 10000
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from toy import Numbers, Slope, toy_runner

from fdam_mm.apis import train
from fdam_mm.data.demo.demo_set import write_demo_set
from fdam_mm.files import write_atomically
from fdam_mm.training import FDAMRunner
from fdam_mm.training.config import read_config

SEGMENTOR = Path(__file__).resolve().with_name("segmentor.py")
PARTS = 10  # of the training, each with a checkpoint


class Parts(Slope):
    """With a loss of two parts, as models have them in the log."""

    def forward(self, inputs: Sequence[torch.Tensor], mode: str = "tensor") -> Any:
        loss = super().forward(inputs, "loss")["loss"]
        return {name: loss * share for name, share in (("loss_a", 0.5), ("loss_b", 0.5))}


@HOOKS.register_module()
class Watch(Hook):
    """Resident memory in KiB and the time, every few iterations."""

    rows: list[tuple[int, float, float]] = []  # of the last training

    def __init__(self, every: int) -> None:
        self.every = every
        Watch.rows = []

    def after_train_iter(self, runner: FDAMRunner, *_: Any, **__: Any) -> None:
        if self.every_n_train_iters(runner, self.every):
            status = Path("/proc/self/status").read_text()
            resident = int(status.partition("VmRSS:")[2].split()[0])
            self.rows.append((runner.iter + 1, resident, time.perf_counter()))


def fit_number(folder: Path, iterations: int) -> None:
    hook = dict(interval=iterations // PARTS)
    watch = Watch(iterations // 100)
    toy_runner(
        folder, iterations, Parts(), Numbers(64), lr=1e-5, hook=hook, custom_hooks=[watch]
    ).train()


def train_segmentor(folder: Path, iterations: int) -> None:
    write_demo_set(folder / "data", num_train=64, num_val=8, size=96)
    settings = {
        "data_root": str(folder / "data"),
        "train_cfg.max_iters": iterations,
        "train_cfg.val_interval": iterations // PARTS,
        "default_hooks.checkpoint.interval": iterations // PARTS,
        "default_hooks.checkpoint.max_keep_ckpts": -1,
        "log_level": "WARNING",
    }
    config = read_config(str(SEGMENTOR), settings)
    config.custom_hooks.append(dict(type="Watch", every=iterations // 100))
    train(config, folder)


def measure(folder: Path, iterations: int, segmentor: bool) -> dict[str, Any]:
    (train_segmentor if segmentor else fit_number)(folder, iterations)
    steps, resident, seconds = np.array(Watch.rows).T
    later = steps > iterations / 5  # what is made once is made by then
    slope = np.polyfit(steps[later], resident[later], 1)[0]
    pace = np.diff(seconds) / np.diff(steps) * 1e3
    sizes = {
        part: (folder / f"iter_{iterations // PARTS * part}.pth").stat().st_size
        for part in (1, 2, PARTS)
    }
    return dict(
        iterations=iterations,
        resident_mib=[round(resident[i] / 1024, 1) for i in (0, len(resident) // 2, -1)],
        bytes_per_iteration=round(slope * 1024, 1),
        ms_per_iteration=[round(float(np.median(p)), 3) for p in np.array_split(pace, 5)],
        checkpoint_bytes=sizes,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--iterations", type=int, default=5000)
    parser.add_argument("--segmentor", action="store_true", help="instead of the number")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), args.iterations, args.segmentor)
    text = json.dumps(result, indent=2)
    print(text)
    if args.out:
        write_atomically(args.out, text + "\n")


if __name__ == "__main__":
    main()
