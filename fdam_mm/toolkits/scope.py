"""mmengine's default scope, for as long as it is needed and no longer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.registry import DefaultScope

from fdam_mm.errors import ConfigError

from .registration import TOOLKITS, register_toolkit

_lock = threading.RLock()  # the scope is one for the whole process


def scope_of(config: Config) -> str:
    """The toolkit that a config is written for: its ``default_scope``.

    Raises:
        ConfigError: That is not mmseg, mmdet or mmrotate.
    """
    scope = config.get("default_scope")
    if scope not in TOOLKITS:
        raise ConfigError(f"default_scope is {scope!r}, expected one of {', '.join(TOOLKITS)}")
    return scope


@contextmanager
def toolkit_scope(scope: str) -> Iterator[None]:
    """Look types up in ``scope`` (``mmseg``, ``mmdet`` or ``mmrotate``), and register its types.

    One thread at a time is inside. Afterwards the scope is what it was, so that models of several
    toolkits can live in one process.
    """
    register_toolkit(scope)
    with _lock, DefaultScope.overwrite_default_scope(scope):
        yield
