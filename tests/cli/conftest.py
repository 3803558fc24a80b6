"""What bad inputs are made of: a drawn set, and what is damaged of data, configs, checkpoints."""

import functools
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import Config, config
from mmengine.dataset import base_dataset
from mmengine.runner import runner
from support.bad_files import write_bad_files

_external_config = functools.cache(config._get_external_cfg_path)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of :func:`support.bad_files.write_bad_files`; tests leave it as it is."""
    return write_bad_files(tmp_path_factory.mktemp("bad_files"))


@pytest.fixture
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings without what takes most of their first second, and tells nothing here."""
    monkeypatch.setattr(runner, "collect_env", dict)  # asks compilers for their versions
    monkeypatch.setattr(Config, "pretty_text", "")  # formatted by yapf
    monkeypatch.setattr(base_dataset, "gc", SimpleNamespace(collect=int))
    monkeypatch.setattr(config, "_get_external_cfg_path", _external_config)
