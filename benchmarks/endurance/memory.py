#!/usr/bin/env python
"""Memory, speed and checkpoint size of a long training: none of them may change with time.

A number is fitted, so that what the runner, its hooks and its log hold is all there is to see.
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
from toy import Numbers, Slope, toy_runner

from fdam_mm.files import write_atomically
from fdam_mm.training import FDAMRunner

PARTS = 10  # of the training, each with a checkpoint


class Parts(Slope):
    """With a loss of two parts, as models have them in the log."""

    def forward(self, inputs: Sequence[torch.Tensor], mode: str = "tensor") -> Any:
        loss = super().forward(inputs, "loss")["loss"]
        return {name: loss * share for name, share in (("loss_a", 0.5), ("loss_b", 0.5))}


class Watch(Hook):
    """Resident memory in KiB and the time, every few iterations."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.rows: list[tuple[int, float, float]] = []

    def after_train_iter(self, runner: FDAMRunner, *_: Any, **__: Any) -> None:
        if self.every_n_train_iters(runner, self.every):
            status = Path("/proc/self/status").read_text()
            resident = int(status.partition("VmRSS:")[2].split()[0])
            self.rows.append((runner.iter + 1, resident, time.perf_counter()))


def measure(folder: Path, iterations: int) -> dict[str, Any]:
    watch = Watch(iterations // 100)
    hook = dict(interval=iterations // PARTS)
    toy_runner(
        folder, iterations, Parts(), Numbers(64), lr=1e-5, hook=hook, custom_hooks=[watch]
    ).train()
    steps, resident, seconds = np.array(watch.rows).T
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
    parser.add_argument("--out", type=Path, help="JSON file to write")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), args.iterations)
    text = json.dumps(result, indent=2)
    print(text)
    if args.out:
        write_atomically(args.out, text + "\n")


if __name__ == "__main__":
    main()
