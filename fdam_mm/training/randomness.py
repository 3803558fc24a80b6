"""Randomness that a resumed training repeats: a function of the seed and of where it stands.

Nothing random is remembered. Before each iteration every generator of a process is seeded from the
training's seed, the iteration and the rank; before each sample, in whichever process loads it,
from the seed and the sample's place in the training's order. So a training that goes on after a
kill draws what the uninterrupted one drew, with any number of workers, however far these had read
ahead.
"""

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, Sampler

ITERATION, ORDER, SAMPLE, VALIDATION = range(4)  # what is seeded: the second number of each key


def reseed(*key: int) -> None:
    """Seed Python's, numpy's and torch's generators, on the CPU and on every GPU, from ``key``."""
    words = np.random.SeedSequence(key).generate_state(4)
    random.seed(words.tobytes())
    np.random.seed(words)
    seed = int(words[0]) << 32 | int(words[1])
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # never so in a worker that was forked
        torch.cuda.manual_seed_all(seed)


class _Batch(list):
    """The indices of a batch, and the key of each sample's randomness."""

    keys: list[tuple[int, ...]]


class SeededBatches(Sampler[list[Any]]):
    """A batch sampler whose batches know their place, and which can begin at any.

    Args:
        batches: What gives the indices; its other attributes are passed through.
        seed: Of the training.

    Attributes:
        epoch: The coming pass over the data, which the randomness depends on.
        begun: Batches of it that a resumed training has behind it.
    """

    def __init__(self, batches: BatchSampler, seed: int) -> None:
        self.batches = batches
        self.seed = seed
        self.epoch = 0
        self.begun = 0
        self._rest: Iterator[tuple[int, list[Any]]] | None = None

    def skip(self, count: int) -> int:
        """Leave out the next ``count`` batches of this pass; returns how many there were."""
        self._rest = self._rest or self._numbered()
        skipped = 0
        while skipped < count and next(self._rest, None) is not None:
            skipped += 1
        return skipped

    def next_pass(self) -> None:
        self.epoch += 1
        self._rest = None

    def __iter__(self) -> Iterator[list[Any]]:
        rest, self._rest = self._rest or self._numbered(), None
        rank, world_size = get_dist_info()
        for number, indices in rest:
            batch = _Batch(indices)
            size = getattr(self.batches, "batch_size", len(batch))
            first = number * size * world_size + rank  # its place among the samples of this pass
            places = [first + slot * world_size for slot in range(len(batch))]
            batch.keys = [(self.seed, SAMPLE, self.epoch, place) for place in places]
            yield batch

    def _numbered(self) -> Iterator[tuple[int, list[Any]]]:
        reseed(self.seed, ORDER, self.epoch)  # samplers of torch's draw their order from this
        yield from enumerate(self.batches)

    def __len__(self) -> int:
        return len(self.batches)

    def __getattr__(self, name: str) -> Any:
        if name == "batches":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.batches, name)


def seed_samples(dataloader: DataLoader, seed: int) -> SeededBatches | None:
    """Make the randomness of ``dataloader``'s samples depend on their place alone.

    Returns:
        What it now takes its batches from; None where it has no batches of indices.
    """
    if isinstance(dataloader.batch_sampler, SeededBatches):
        dataloader.batch_sampler.seed = seed
        return dataloader.batch_sampler
    dataset = dataloader.dataset
    streams = isinstance(dataset, IterableDataset) or dataloader.batch_sampler is None
    if streams or not hasattr(dataset, "__dict__"):
        return None
    batches = SeededBatches(dataloader.batch_sampler, seed)
    object.__setattr__(dataloader, "batch_sampler", batches)  # torch's setter refuses
    dataset.__getitems__ = partial(_load, dataset)  # where torch looks first for a whole batch
    return batches


def _load(dataset: Dataset, batch: list[Any]) -> list[Any]:
    samples = []
    for index, key in zip(batch, batch.keys, strict=True):
        reseed(*key)
        samples.append(dataset[index])
    return samples


def seeded_sampler(dataloader: DataLoader) -> Any:
    """What orders the samples, and is told the epoch: the sampler, or that of the batches."""
    samplers = (dataloader.sampler, getattr(dataloader.batch_sampler, "sampler", None))
    return next((sampler for sampler in samplers if hasattr(sampler, "set_epoch")), None)
