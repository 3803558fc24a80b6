"""A training of milliseconds: one number, fitted by mmengine's loops in our runner.

The tests use it too (``tests/support/toy.py``).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModel
from torch.utils.data import Dataset

from fdam_mm.training import FDAMRunner


class Numbers(Dataset):
    """The numbers from 0 on, each as a vector of ``width``."""

    def __init__(self, count: int = 8, width: int = 1) -> None:
        self.count, self.width = count, width

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return dict(inputs=torch.full((self.width,), float(index)))


class Slope(BaseModel):
    """y = w x, for y = 2 x."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs: Sequence[torch.Tensor], mode: str = "tensor") -> Any:
        x = torch.stack(list(inputs))
        loss = (self.weight * x - 2 * x).square().mean()
        return dict(loss=loss) if mode == "loss" else [dict(loss=loss)]


def loader(numbers: Numbers, sampler: str) -> dict[str, Any]:
    """Batches of four, in order."""
    return dict(
        dataset=numbers,
        batch_size=4,
        num_workers=0,
        sampler=dict(type=sampler, shuffle=False),
        collate_fn=dict(type="pseudo_collate"),
    )


def toy_runner(
    work_dir: Path,
    max_iters: int,
    model: BaseModel,
    numbers: Numbers,
    lr: float,
    hook: dict[str, Any],
    **settings: Any,
) -> FDAMRunner:
    """A runner that saves as ``hook`` says; ``settings`` are more of the runner's arguments."""
    hooks = settings.pop("default_hooks", {})
    return FDAMRunner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=loader(numbers, "InfiniteSampler"),
        train_cfg=dict(by_epoch=False, max_iters=max_iters, **settings.pop("train_cfg", {})),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=lr, momentum=0.9)),
        default_hooks=dict(
            checkpoint=dict(type="CheckpointHook", by_epoch=False, **hook), **hooks
        ),
        log_level="WARNING",
        **settings,
    )
