"""The training of ``benchmarks/endurance/toy.py``, with validations whose scores are given."""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.evaluator import BaseMetric, Evaluator

from benchmarks.endurance.toy import Numbers, Slope, loader
from benchmarks.endurance.toy import toy_runner as number_runner
from fdam_mm.training import FDAMRunner


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
    numbers = Numbers()
    return number_runner(
        work_dir,
        max_iters,
        Slope(),
        numbers,
        lr=1e-3,
        hook=dict(interval=interval, **(hook or {})),
        val_dataloader=loader(numbers, "DefaultSampler"),
        train_cfg=dict(val_interval=interval),
        val_cfg=dict(),
        val_evaluator=Evaluator(Score(scores)),
        default_hooks=dict(logger=dict(type="LoggerHook", interval=1)),
        log_processor=dict(by_epoch=False, window_size=3),
        experiment_name=uuid.uuid4().hex,  # what mmengine keeps by name is of this run alone
        **settings,
    )
