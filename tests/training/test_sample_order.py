"""The order of the samples, and their augmentation, on another number of processes."""

import random
from functools import partial
from typing import Any

import pytest
from mmengine.dataset import DefaultSampler, InfiniteSampler, sampler
from torch.utils.data import BatchSampler, DataLoader, Dataset

from fdam_mm.toolkits.patches.train_loops import EndlessBatches
from fdam_mm.training import randomness
from fdam_mm.training.randomness import seed_samples

SAMPLES = 16


class Drawn(Dataset):
    """Samples that are their index and something random."""

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> tuple[int, float]:
        return index, random.random()


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Any:
    return partial(_part, monkeypatch)


def _part(
    monkeypatch: pytest.MonkeyPatch, kind: type, processes: int, size: int, done: int, steps: int
) -> list[tuple[int, float]]:
    """What all processes load in ``steps`` after ``done`` samples, in the training's order."""
    ranks = []
    for rank in range(processes):
        for module in (sampler, randomness):
            monkeypatch.setattr(module, "get_dist_info", lambda rank=rank: (rank, processes))
        dataset = Drawn()
        order = kind(dataset, shuffle=True, seed=5)
        loader = DataLoader(
            dataset, batch_sampler=BatchSampler(order, size, drop_last=False), collate_fn=list
        )
        endless = EndlessBatches(loader, seed_samples(loader, 7), order)
        passes = 0 if kind is InfiniteSampler else done // SAMPLES
        endless.begin(passes, (done - passes * SAMPLES) // (processes * size))
        ranks.append([next(endless) for _ in range(steps)])
    return [
        ranks[rank][step][slot]
        for step in range(steps)
        for slot in range(size)
        for rank in range(processes)
    ]


@pytest.mark.parametrize("kind", [InfiniteSampler, DefaultSampler])
def test_four_two_one(part: Any, kind: type) -> None:
    """Of one batch size each, and of one total batch."""
    whole = part(kind, 1, 1, 0, 48)
    assert len({value for _, value in whole}) == 48  # no sample is augmented twice alike
    assert sorted(index for index, _ in whole[:SAMPLES]) == list(range(SAMPLES))
    four, two, one = part(kind, 4, 2, 0, 3), part(kind, 2, 2, 24, 3), part(kind, 1, 2, 36, 6)
    assert four + two + one == whole
    four, two, one = part(kind, 4, 1, 0, 5), part(kind, 2, 2, 20, 3), part(kind, 1, 4, 32, 4)
    assert four + two + one == whole


def test_a_step_that_does_not_fit_sees_samples_again(part: Any) -> None:
    whole = part(InfiniteSampler, 1, 1, 0, 24)
    assert part(InfiniteSampler, 2, 3, 8, 3) == whole[6:]
