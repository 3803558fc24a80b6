"""Let ``_base_ = ["mmseg::..."]`` find the configs inside onedl-mmsegmentation.

mmengine looks them up in a package called ``mmsegmentation``, mmseg's name before the ``onedl``
packages. mmdet and mmrotate are looked up by their import name and need nothing.
"""

from importlib.metadata import PackageNotFoundError, version

from mmengine.config.utils import MODULE2PACKAGE


def find_packaged_configs() -> None:
    """Look mmseg up by its import name, unless a package ``mmsegmentation`` is installed."""
    try:
        version("mmsegmentation")
    except PackageNotFoundError:
        MODULE2PACKAGE["mmseg"] = "mmseg"
