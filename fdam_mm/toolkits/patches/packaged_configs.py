"""Let ``_base_ = ["mmseg::..."]`` and ``["fdam_mm::..."]`` find the configs inside the packages.

Seen in mmengine 0.10.12: it keeps a table of the packages that hold configs. It looks mmseg up in
``mmsegmentation``, mmseg's name before the ``onedl`` packages, and knows nothing of us.
"""

import functools
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

SHIPPED = Path(__file__).resolve().parents[2] / ".mim"
"""Where this package keeps its ``configs`` and ``tools``, in a checkout and in a wheel."""

_OWN = "fdam_mm"
_GetPath = Callable[[str, str], tuple[str, str | None]]


@functools.cache
def find_packaged_configs() -> None:
    """Once: look us up, and mmseg by its import name unless ``mmsegmentation`` is installed."""
    MODULE2PACKAGE[_OWN] = _OWN
    Config._get_cfg_path = staticmethod(_without_own_scope(Config._get_cfg_path))
    try:
        version("mmsegmentation")
    except PackageNotFoundError:
        MODULE2PACKAGE["mmseg"] = "mmseg"


def _without_own_scope(get_path: _GetPath) -> _GetPath:
    """Read our configs as if they lay beside the user's.

    mmengine (0.10) has types of another package's config looked up in that package's scope. Ours
    name types of the toolkits, which are found in the config's ``default_scope``, and our own,
    which are in mmengine's root: there is no scope ``fdam_mm``.
    """

    @functools.wraps(get_path)
    def get(cfg_path: str, filename: str) -> tuple[str, str | None]:
        path, scope = get_path(cfg_path, filename)
        return path, None if scope == _OWN else scope

    return get
