"""The patches that hold for the whole process; none of them depends on a run."""

import functools

from .atomic_backend import write_local_files_atomically
from .checkpoint_loading import read_checkpoints_of_runs_safely
from .initialization_log import shorten_initialization_log
from .packaged_configs import find_packaged_configs


@functools.cache
def patch_toolkits() -> None:
    """Make them, once."""
    write_local_files_atomically()
    read_checkpoints_of_runs_safely()
    shorten_initialization_log()
    find_packaged_configs()
