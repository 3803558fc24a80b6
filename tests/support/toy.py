"""A training that takes milliseconds: one number, fitted by mmengine's loops in our runner."""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from torch.utils.data import Dataset

from fdam_mm.training import FDAMRunner


class Numbers(Dataset):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return dict(inputs=torch.tensor([float(index)]))


class Slope(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs: Sequence[torch.Tensor], mode: str = "tensor") -> Any:
        x = torch.stack(list(inputs))
        loss = (self.weight * x - 2 * x).square().mean()
        return dict(loss=loss) if mode == "loss" else [dict(loss=loss)]


class Score(BaseMetric):
    """The scores that it was made with, one per validation; more of them are as the last."""

    def __init__(self, scores: Sequence[float]) -> None:
        super().__init__()
        self.scores = list(scores)

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list) -> dict[str, float]:
        score = self.scores.pop(0) if len(self.scores) > 1 else self.scores[0]
        return dict(acc=score, other=-score)


def toy_runner(
    work_dir: Path,
    max_iters: int = 4,
    scores: Sequence[float] = (1,),
    hook: dict[str, Any] | None = None,
    interval: int = 1,
    **settings: Any,
) -> FDAMRunner:
    """A runner that saves and validates every ``interval`` iterations."""
    checkpoint = dict(type="CheckpointHook", by_epoch=False, interval=interval, **(hook or {}))
    loader = dict(batch_size=4, num_workers=0, collate_fn=dict(type="pseudo_collate"))
    return FDAMRunner(
        model=Slope(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            dataset=Numbers(), sampler=dict(type="InfiniteSampler", shuffle=False), **loader
        ),
        val_dataloader=dict(
            dataset=Numbers(), sampler=dict(type="DefaultSampler", shuffle=False), **loader
        ),
        train_cfg=dict(by_epoch=False, max_iters=max_iters, val_interval=interval),
        val_cfg=dict(),
        val_evaluator=Evaluator(Score(scores)),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=1e-3, momentum=0.9)),
        default_hooks=dict(checkpoint=checkpoint, logger=dict(type="LoggerHook", interval=1)),
        log_processor=dict(by_epoch=False, window_size=3),
        log_level="WARNING",
        experiment_name=uuid.uuid4().hex,  # what mmengine keeps by name is of this run alone
        **settings,
    )
