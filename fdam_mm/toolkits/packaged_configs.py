"""Let ``_base_ = ["mmseg::..."]`` and ``["fdam_mm::..."]`` find the configs inside the packages.

mmengine keeps a table of the packages that hold configs. It looks mmseg up in ``mmsegmentation``,
mmseg's name before the ``onedl`` packages, and knows nothing of us.
"""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mmengine.config.utils import MODULE2PACKAGE

SHIPPED = Path(__file__).resolve().parents[1] / ".mim"
"""Where this package keeps its ``configs`` and ``tools``, in a checkout and in a wheel."""


def find_packaged_configs() -> None:
    """Look us up, and mmseg by its import name unless ``mmsegmentation`` is installed."""
    MODULE2PACKAGE["fdam_mm"] = "fdam_mm"
    try:
        version("mmsegmentation")
    except PackageNotFoundError:
        MODULE2PACKAGE["mmseg"] = "mmseg"
