"""Trainings of a toy through FDAMRunner, in seconds: everything in them is random."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from torch import Tensor, nn

import fdam_mm.training  # noqa: F401  the runner and its hooks register on import


@TRANSFORMS.register_module()
class ToyAugmentation:
    """Draws from each of the three generators, and from another sample as a mosaic does."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        noise = random.random() + np.random.rand() + torch.rand(1).item()
        other = results["dataset"].value(random.randrange(len(results["dataset"])))
        return dict(inputs=torch.tensor([float(results["value"]), noise, other]))


@DATASETS.register_module()
class ToyDataset(BaseDataset):
    def __init__(self, size: int = 12, **kwargs: Any) -> None:
        self.size = size
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [dict(value=index / self.size) for index in range(self.size)]

    def prepare_data(self, idx: int) -> dict[str, Any]:
        return self.pipeline({**self.get_data_info(idx), "dataset": self})

    def value(self, idx: int) -> float:
        return self.get_data_info(idx)["value"]


@MODELS.register_module()
class ToyModel(BaseModel):
    """A network with dropout and batch statistics.

    Args:
        nan_at: Calls of the loss that give nan.
        mask: Hold an infinite buffer, as a mask of attention.
    """

    def __init__(self, nan_at: list[int] = (), mask: bool = False) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1)
        )
        self.nan_at = nan_at
        self.calls = 0
        if mask:
            self.register_buffer("mask", torch.full((2,), -torch.inf))

    def forward(self, inputs: Tensor, mode: str = "tensor") -> Any:
        y = self.net(torch.stack(list(inputs)))
        if mode != "loss":
            return list(y)
        self.calls += 1
        factor = torch.nan if self.calls in self.nan_at else 1.0
        return dict(loss_a=(y - 1).square().mean() * factor, loss_b=y.abs().mean())


@METRICS.register_module()
class ToyMetric(BaseMetric):
    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [0.0] * len(data_samples)

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return dict(score=float(len(results)))


def toy_config(work_dir: Path, iterations: int = 6, **changes: Any) -> Config:
    """A training of ``iterations`` with a checkpoint every second, of toys alone.

    Args:
        changes: Dotted keys of the config, with ``__`` for a dot.
    """
    dataset = dict(type="ToyDataset", pipeline=[dict(type="ToyAugmentation")])
    loader = dict(batch_size=2, num_workers=0, dataset=dataset)
    config = Config(
        dict(
            default_scope="mmengine",
            runner_type="FDAMRunner",
            work_dir=str(work_dir),
            experiment_name=f"toy_{work_dir}".replace("/", "_"),
            model=dict(type="ToyModel"),
            train_dataloader=dict(sampler=dict(type="InfiniteSampler"), **loader),
            train_cfg=dict(type="IterBasedTrainLoop", max_iters=iterations, val_interval=10000),
            optim_wrapper=dict(
                type="OptimWrapper",
                optimizer=dict(type="AdamW", lr=0.01),
                clip_grad=dict(max_norm=1.0),
            ),
            param_scheduler=[dict(type="PolyLR", by_epoch=False, end=iterations)],
            default_hooks=dict(
                checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=2),
                logger=dict(type="LoggerHook", interval=1),
            ),
            log_processor=dict(by_epoch=False, window_size=1),
            randomness=dict(seed=1),
        )
    )
    config.merge_from_dict({key.replace("__", "."): value for key, value in changes.items()})
    return config
