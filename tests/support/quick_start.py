"""Starting trainings without what takes longer than they, and tells nothing here."""

import functools
from types import SimpleNamespace

import pytest
from mmengine.config import config
from mmengine.dataset import base_dataset
from mmengine.runner import runner

from fdam_mm.training.formatter import import_formatter

_external_config = functools.cache(config._get_external_cfg_path)


def start_quickly(patch: pytest.MonkeyPatch) -> None:
    """Compilers are not asked for their versions, written configs not formatted, a toolkit's list
    of configs is read once, and garbage is not collected by every data set."""
    import_formatter()
    from yapf.yapflib import yapf_api

    patch.setattr(runner, "collect_env", dict)
    patch.setattr(yapf_api, "FormatCode", lambda text, **_: (text, True))
    patch.setattr(config, "_get_external_cfg_path", _external_config)
    patch.setattr(base_dataset, "gc", SimpleNamespace(collect=int))
