"""The end of distributed processes."""

import logging
import multiprocessing
import os
import sys

from torch import distributed


def end_together() -> None:
    """End the distributed processes as one, past the interpreter's teardown; alone, do nothing.

    At teardown the threads of gloo are destroyed while they run, which now and then aborts a
    process that has done all its work.
    """
    if not distributed.is_initialized():
        return
    distributed.barrier()
    for child in multiprocessing.active_children():  # workers of the dataloaders
        child.terminate()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
