"""Processes that end with the one that started them, even if that is killed."""

import ctypes
import functools
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from torch.utils.data import DataLoader

_PR_SET_PDEATHSIG = 1  # of Linux's prctl
_POLL = 1.0  # seconds


def end_with_parent(parent: int | None = None) -> None:
    """Let the system kill this process when its parent ends.

    Args:
        parent: Its process number, where that is known; if it has ended already, so do we.
    """
    expected = os.getppid() if parent is None else parent
    signalled = _signal_at_parents_death()
    if os.getppid() != expected:
        os.kill(os.getpid(), signal.SIGKILL)
    if not signalled:
        threading.Thread(target=_watch, args=(expected,), daemon=True).start()


def end_workers_with_us(loader: DataLoader) -> None:
    """Let the worker processes that ``loader`` will start end with this process."""
    loader.worker_init_fn = functools.partial(_start_worker, loader.worker_init_fn)


def _start_worker(then: Callable[[int], None] | None, worker_id: int) -> None:
    parent = multiprocessing.parent_process()
    end_with_parent(parent.pid if parent else None)
    if then is not None:
        then(worker_id)


def _signal_at_parents_death() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        return ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0
    except (OSError, AttributeError):
        return False


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL)
    os.kill(os.getpid(), signal.SIGKILL)
