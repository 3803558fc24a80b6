"""Trainings of a toy through FDAMRunner, in seconds: everything in them is random."""

import copy
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import get_rank
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATA_SAMPLERS, DATASETS, METRICS, MODELS, RUNNERS, TRANSFORMS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import BatchSampler, Sampler

import fdam_mm.training  # noqa: F401  the runner and its hooks register on import
from fdam_mm.checkpoints import load
from support.paths import ROOT, python_path
from support.warm import Script

EPOCHS = dict(
    train_cfg=dict(by_epoch=True, max_epochs=3, _delete_=True),
    train_dataloader__sampler=dict(type="DefaultSampler", shuffle=True, _delete_=True),
    log_processor__by_epoch=True,
)
EMA = dict(custom_hooks=[dict(type="EMAHook", momentum=0.1)])


VALIDATION = dict(
    val_dataloader=dict(
        batch_size=2,
        sampler=dict(type="DefaultSampler", shuffle=False),
        dataset=dict(type="ToyDataset", pipeline=[dict(type="ToyAugmentation")]),
    ),
    val_cfg=dict(type="ValLoop"),
    val_evaluator=dict(type="ToyMetric"),
    train_cfg__val_interval=2,
)


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


@DATA_SAMPLERS.register_module()
class ToyPairs(BatchSampler):
    """Pairs of even and of odd samples, in the manner of mmdet's batches of one aspect ratio."""

    def __init__(self, sampler: Sampler, batch_size: int) -> None:
        super().__init__(sampler, batch_size, drop_last=True)

    def __iter__(self) -> Iterator[list[int]]:
        waiting = ([], [])
        for index in self.sampler:
            waiting[index % 2].append(index)
            if len(waiting[index % 2]) == self.batch_size:
                yield waiting[index % 2][:]
                waiting[index % 2].clear()


@MODELS.register_module()
class ToyModel(BaseModel):
    """A network with dropout and batch statistics.

    Args:
        nan_at: Calls of the loss that give nan.
        nan_rank: The process in which they do.
        mask: Hold an infinite buffer, as a mask of attention.
        delay: Seconds that each loss takes.
    """

    def __init__(
        self, nan_at: list[int] = (), nan_rank: int = 0, mask: bool = False, delay: float = 0.0
    ) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1)
        )
        self.nan_at = nan_at if get_rank() == nan_rank else []
        self.delay = delay
        self.calls = 0
        if mask:
            self.register_buffer("mask", torch.full((2,), -torch.inf))

    def forward(self, inputs: Tensor, mode: str = "tensor") -> Any:
        y = self.net(torch.stack(list(inputs)))
        if mode != "loss":
            return list(y)
        self.calls += 1
        time.sleep(self.delay)
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
    changes = copy.deepcopy(changes)  # mmengine takes "_delete_" out of them
    config.merge_from_dict({key.replace("__", "."): value for key, value in changes.items()})
    return config


def toy(work_dir: Path, **changes: Any) -> Runner:
    """The runner of a toy's training."""
    for generator in (random.seed, np.random.seed, torch.manual_seed):
        generator(len(str(changes)))  # nothing that a process finds there may matter
    return RUNNERS.build(toy_config(work_dir, **changes))


def losses(work_dir: Path) -> dict[int, float]:
    """The loss of each step, of the newest run that logged it."""
    records = {}
    for file in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for record in map(json.loads, file.read_text().splitlines()):
            if "loss" in record:
                records[record["step"]] = record["loss"]
    return records


def assert_same(ours: Any, theirs: Any) -> None:
    """Every tensor and number of two checkpoints is the same, bit for bit."""
    assert type(ours) is type(theirs)
    if isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs)
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert_same(ours[key], theirs[key])
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    else:
        assert ours == theirs


def state(file: Path) -> dict[str, Any]:
    """What of a checkpoint must be the same."""
    parts = ("state_dict", "ema_state_dict", "optimizer", "param_schedulers")
    checkpoint = load(file)
    return {part: checkpoint[part] for part in parts if part in checkpoint}


class ToyProcess:
    """``toy_train.py`` in one process or in several.

    Args:
        arguments: Of the script: the folder, ``--resume``.
        processes: How many.
        torchrun: Let our launcher start them.
        settings: See :func:`toy_config`.
    """

    def __init__(
        self, *arguments: object, processes: int = 1, torchrun: bool = False, **settings: Any
    ) -> None:
        script = ROOT / "tests/support/toy_train.py"
        texts = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
        arguments = (*arguments, *texts)
        if torchrun:
            self.process = _torchrun(processes, script, *arguments)
        else:
            tests = ROOT / "tests"
            ranks = processes if processes > 1 else None
            self.process = Script(script, *arguments, cwd=ROOT, path=tests, processes=ranks)

    def kill(self) -> None:
        """As a machine that goes down: every process at once, without a word."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self, timeout: float = 300) -> tuple[int, str, str]:
        """Wait for the end; returns the exit code, stdout and stderr."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return self.process.returncode, out, err


def _torchrun(processes: int, script: Path, *arguments: object) -> subprocess.Popen:
    launch = ["-m", "fdam_mm.cli.launch", "--standalone", "--nproc-per-node", processes]
    return subprocess.Popen(
        list(map(str, [sys.executable, *launch, script, *arguments])),
        env={**os.environ, "PYTHONPATH": python_path(ROOT / "tests"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_interrupts,
    )


def _hear_interrupts() -> None:
    """A shell lets its background jobs, and their children, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(condition: Callable[[], Any], seconds: float = 180) -> None:
    """Wait until ``condition`` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)
