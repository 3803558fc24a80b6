"""mmengine's default scope, for as long as it is needed and no longer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.registry import DefaultScope

from .registration import register_toolkit

_lock = threading.RLock()  # the scope is one for the whole process


@contextmanager
def toolkit_scope(scope: str) -> Iterator[None]:
    """Look types up in ``scope`` (``mmseg``, ``mmdet`` or ``mmrotate``), and register its types.

    One thread at a time is inside. Afterwards the scope is what it was, so that models of several
    toolkits can live in one process.
    """
    register_toolkit(scope)
    with _lock, DefaultScope.overwrite_default_scope(scope):
        yield
