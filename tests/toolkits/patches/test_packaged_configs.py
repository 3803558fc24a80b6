"""Configs inside packages."""

from importlib.metadata import PackageNotFoundError, version

import pytest
from mmengine.config.utils import MODULE2PACKAGE
from support.upstream import pristine


def test_upstream_looks_for_mmseg_under_its_old_name() -> None:
    name = pristine("mmengine.config.utils").MODULE2PACKAGE["mmseg"]
    with pytest.raises(PackageNotFoundError):
        version(name)
    assert MODULE2PACKAGE["mmseg"] == "mmseg" and MODULE2PACKAGE["fdam_mm"] == "fdam_mm"
