"""Ending a training on a signal: with a checkpoint, on all processes together."""

import atexit
import copy
import functools
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from fdam_mm.errors import TrainingInterrupted

from .finite import optim_wrappers
from .teardown import kill_workers

# Ctrl-C; what kill, Slurm and other schedulers send; what users of Slurm's --signal choose.
_NAMES = ("SIGINT", "SIGTERM", "SIGUSR1")
SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
_ECHO = 1.0  # seconds in which torchrun sends on a signal that its processes had themselves


class Signals:
    """Note a signal in place of ending; a second one ends the process at once.

    A context; signals that are ignored stay so, and outside of the main thread it does nothing.

    Attributes:
        received: The number of the first signal, 0 before.
    """

    def __init__(self) -> None:
        self.received = 0
        self._since = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self.received:
            self.received, self._since = number, time.monotonic()
        elif get_world_size() == 1 or time.monotonic() - self._since > _ECHO:
            kill_workers()
            os._exit(128 + number)

    def agreed(self) -> int:
        """The signal that any process received, or 0; all processes have to ask."""
        if get_world_size() == 1:
            return self.received
        number = torch.tensor(self.received)
        all_reduce(number, op="max")
        return int(number)


@HOOKS.register_module()
class InterruptHook(Hook):
    """End the training after the iteration in which a signal came, with a checkpoint.

    A validation is left at once; the resumed training makes up for it. While gradients are
    accumulated, the step that ends this is waited for.

    Args:
        signals: What notes them.

    Raises:
        TrainingInterrupted: Says where the checkpoint is and how to go on.
    """

    priority = "LOWEST"  # after the checkpoint that may be due

    def __init__(self, signals: Signals) -> None:
        self.signals = signals
        self._val_batches = 0  # that all processes have

    def before_train(self, runner: Runner) -> None:
        ignore_signals_in_workers(runner.train_dataloader)
        number = self.signals.agreed()
        if number:
            raise TrainingInterrupted(number, "before its first iteration, nothing is lost")

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        if all(wrapper.should_update() for wrapper in optim_wrappers(runner)):
            number = self.signals.agreed()
            if number:
                self._end(runner, number, runner.iter + 1)

    def before_val_epoch(self, runner: Runner) -> None:
        ignore_signals_in_workers(runner.val_dataloader)
        batches = torch.tensor(len(runner.val_dataloader))
        if get_world_size() > 1:
            all_reduce(batches, op="min")
        self._val_batches = int(batches)

    def after_val_iter(self, runner: Runner, batch_idx: int, *_: Any, **__: Any) -> None:
        number = self.signals.agreed() if batch_idx < self._val_batches else 0
        if number and optim_wrappers(runner):
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):
                    hook.after_val_epoch(runner)  # the weights that are trained come back
            self._end(runner, number, runner.iter)

    def _end(self, runner: Runner, number: int, iterations: int) -> None:
        file = save_now(runner, iterations)
        saved = f"saved in {file}" if file else "not saved: the config has no CheckpointHook"
        raise TrainingInterrupted(number, f"after iteration {iterations}, {saved}")


def save_now(runner: Runner, iterations: int) -> str | None:
    """Save a checkpoint outside of the intervals, as the ``CheckpointHook`` does.

    Args:
        runner: Of the training; all processes have to call it.
        iterations: That are done.

    Returns:
        The file; None without a ``CheckpointHook``.
    """
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    if not hooks:
        return None
    hook = copy.copy(hooks[0])
    hook.save_optimizer = hook.save_param_scheduler = True
    if hook.by_epoch:  # its names count epochs
        hook.by_epoch, hook.filename_tmpl = False, "iter_{}.pth"
    if Path(hook.last_ckpt or "").name != hook.filename_tmpl.format(iterations):
        meta = dict(epoch=runner.epoch, iter=iterations)
        hook._save_checkpoint_with_step(runner, iterations, meta)
    return str(hook.last_ckpt)


def ignore_signals_in_workers(loader: DataLoader) -> None:
    """Leave it to the process that owns them to end the workers, whom a signal reaches as well."""
    start = loader.worker_init_fn
    if not isinstance(start, functools.partial) or start.func is not _start_worker:
        loader.worker_init_fn = functools.partial(_start_worker, start)
        atexit.register(kill_workers)  # before multiprocessing sends them SIGTERM and waits


def _start_worker(then: Callable[[int], None] | None, worker_id: int) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if then is not None:
        then(worker_id)
