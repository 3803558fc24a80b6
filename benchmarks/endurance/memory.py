#!/usr/bin/env python
"""Memory, speed and checkpoint size of a long training: none of them may change with time.

A number is fitted, so that what the runner, its hooks and its log hold is all there is to see.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch.utils.data import Dataset

from fdam_mm.files import write_atomically
from fdam_mm.training import FDAMRunner

PARTS = 10  # of the training, each with a checkpoint


class Numbers(Dataset):
    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return dict(inputs=torch.tensor([float(index)]))


class Slope(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs: list[torch.Tensor], mode: str) -> dict[str, torch.Tensor]:
        x = torch.stack(inputs)
        loss = (self.weight * x - 2 * x).square().mean()
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
    FDAMRunner(
        model=Slope(),
        work_dir=str(folder),
        train_dataloader=dict(
            dataset=Numbers(),
            batch_size=4,
            num_workers=0,
            sampler=dict(type="InfiniteSampler"),
            collate_fn=dict(type="pseudo_collate"),
        ),
        train_cfg=dict(by_epoch=False, max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=1e-5)),
        default_hooks=dict(
            checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=iterations // PARTS)
        ),
        custom_hooks=[watch],
        log_level="WARNING",
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
