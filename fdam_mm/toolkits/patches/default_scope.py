"""The default scope of a run, for as long as it is needed.

Seen in mmengine 0.10.12: a runner sets it for the whole process and never takes it back, so that a
model of another toolkit would be looked up in it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.registry import DefaultScope

_building = threading.Lock()  # so that we know whose scopes are new


class RunScopes:
    """The scopes that one run has set; those of other threads' runs are left alone."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    @contextmanager
    def set_here(self) -> Iterator[None]:
        """What is set within is the run's; one run at a time is inside."""
        with _building:
            before = set(DefaultScope._instance_dict)
            try:
                yield
            finally:
                self._names |= set(DefaultScope._instance_dict) - before

    def take_back(self) -> None:
        for name in self._names:
            DefaultScope._instance_dict.pop(name, None)
