"""mmengine's training loops, beginning in the middle.

Seen in mmengine 0.10.12: an epoch always begins at its first batch, and an iteration-based loop
with workers loads the batches that it skips.
"""

from functools import partial
from typing import Any, Protocol

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch.utils.data import DataLoader


class Batches(Protocol):
    """What a dataloader takes its batches from, as :class:`fdam_mm.training.randomness` has it."""

    epoch: int
    begun: int  # batches of this pass that are done

    def skip(self, count: int) -> int: ...

    def next_pass(self) -> None: ...


def begin_anywhere(loop: Any, batches: Batches, sampler: Any) -> None:
    """Let a loop of mmengine's own go on after any iteration; other loops stay as they are.

    Args:
        loop: Of a runner.
        batches: What its dataloader takes its batches from.
        sampler: What orders the samples and is told the epoch (``set_epoch``); None without.
    """
    if isinstance(loop, IterBasedTrainLoop):
        loop.dataloader_iterator = EndlessBatches(loop.dataloader, batches, sampler)
    elif isinstance(loop, EpochBasedTrainLoop):
        loop.run_epoch = partial(_run_epoch, loop, batches)


class EndlessBatches:
    """What an iteration-based loop draws from: one pass over the data after the other.

    mmengine's own loads what it skips, unless the sampler can skip and batches are torch's.

    Attributes:
        done: Batches of this pass that the loop has had.
    """

    def __init__(self, dataloader: DataLoader, batches: Batches, sampler: Any) -> None:
        self._dataloader = dataloader
        self._batches = batches
        self._sampler = sampler
        self._iterator: Any = None
        self._placed = False
        self.done = 0

    def begin(self, passes: int, batches: int) -> None:
        """Go on after some passes over the data and batches of the next.

        The loop's count of iterations, which may have had more or fewer samples, is not asked.
        """
        self._placed = True
        if passes:
            self._batches.epoch = passes - 1
            self._next_pass()
        self.done = self._batches.skip(batches)

    def skip_iter(self, num_iters: int) -> None:
        """Leave out batches without loading them."""
        left = 0 if self._placed else num_iters
        while left > 0:
            skipped = self._batches.skip(left)
            left -= skipped
            self.done += skipped
            if not skipped:
                return  # there is no data at all
            if left > 0:
                self._next_pass()

    def __next__(self) -> Any:
        if self._iterator is None:
            self._iterator = iter(self._dataloader)
        try:
            batch = next(self._iterator)
        except StopIteration:
            self._next_pass()
            self._iterator = iter(self._dataloader)
            batch = next(self._iterator)
        self.done += 1
        return batch

    def _next_pass(self) -> None:
        self.done = 0
        self._batches.next_pass()
        if self._sampler is not None:
            self._sampler.set_epoch(self._batches.epoch)


def _run_epoch(loop: EpochBasedTrainLoop, batches: Batches) -> None:
    """As mmengine's, without the batches that are done and with the numbers of the others."""
    loop.runner.call_hook("before_train_epoch")
    loop.runner.model.train()
    batches.epoch = loop.epoch
    done, batches.begun = batches.begun, 0
    batches.skip(done)
    for number, data_batch in enumerate(loop.dataloader, start=done):
        loop.run_iter(number, data_batch)
    loop.runner.call_hook("after_train_epoch")
    loop._epoch += 1
