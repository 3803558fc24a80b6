"""Loops that begin in the middle; tests/training/test_resuming.py has what comes of it."""

import multiprocessing
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.runner import EpochBasedTrainLoop
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch.utils.data import DataLoader, Dataset

from fdam_mm.toolkits.patches.train_loops import EndlessBatches
from fdam_mm.training.randomness import seed_samples


class Counted(Dataset):
    """Counts what is loaded, in a worker process too."""

    def __init__(self) -> None:
        self.loaded = multiprocessing.Value("i")

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> torch.Tensor:
        with self.loaded:
            self.loaded.value += 1
        return torch.zeros(1)


def test_upstream_loads_what_it_skips() -> None:
    theirs, ours = Counted(), Counted()
    _InfiniteDataloaderIterator(DataLoader(theirs, batch_size=2, num_workers=1)).skip_iter(3)
    loader = DataLoader(ours, batch_size=2, num_workers=1)
    EndlessBatches(loader, seed_samples(loader, 0), None).skip_iter(3)
    assert theirs.loaded.value > 0 and ours.loaded.value == 0


def test_upstream_begins_epochs_at_their_first_batch() -> None:
    begun: list[Any] = []
    runner = SimpleNamespace(call_hook=lambda name: None, model=torch.nn.Identity())
    loop = SimpleNamespace(runner=runner, dataloader=[0, 1, 2, 3], _iter=2, _epoch=0)
    loop.run_iter = lambda index, batch: begun.append(index)
    EpochBasedTrainLoop.run_epoch(loop)
    assert begun == [0, 1, 2, 3]
