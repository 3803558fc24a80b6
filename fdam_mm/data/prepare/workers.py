"""Run a function on many items in several processes."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerError(RuntimeError):
    """A process was killed from outside."""


def map_in_order(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result]:
    """Yield the results in the order of the items; with one worker in this process.

    Processes are forked from a server that has imported the function's module and has no threads
    of this process. They end when this process ends, however it ends.

    Args:
        function: of a module, so that a worker finds it.
        items: to be sent to the workers.
        workers: number of processes.

    Raises:
        WorkerError: a worker was killed, perhaps for lack of memory.
    """
    workers = min(workers, len(items))
    if workers <= 1:
        yield from map(function, items)
        return
    context = get_context("forkserver")
    context.set_forkserver_preload([function.__module__])
    try:
        with ProcessPoolExecutor(workers, context, initializer=_start) as pool:
            yield from pool.map(function, items)
    except BrokenProcessPool as error:
        raise WorkerError(f"one of {workers} processes was killed, perhaps for memory") from error


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it for all
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent_process().join()
    os._exit(1)
