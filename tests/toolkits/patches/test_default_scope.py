"""Scopes that runs leave behind."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn

from fdam_mm.toolkits.patches.default_scope import RunScopes


@pytest.fixture(autouse=True)
def no_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DefaultScope, "_instance_dict", type(DefaultScope._instance_dict)())


def test_upstream_keeps_the_scope_of_a_run_that_is_gone(tmp_path: Path) -> None:
    Runner(nn.Identity(), str(tmp_path), default_scope="mmseg", experiment_name="of upstream")
    assert DefaultScope.get_current_instance().scope_name == "mmseg"


def test_a_run_takes_back_its_own_alone() -> None:
    both = Barrier(2, timeout=60)

    def run(name: str) -> bool:
        scopes = RunScopes()
        with scopes.set_here():
            DefaultScope.get_instance(name, scope_name="mmseg")
        both.wait()
        if name == "second":
            both.wait()  # until the first has ended
        there = DefaultScope.check_instance_created(name)
        scopes.take_back()
        if name == "first":
            both.wait()
        return there

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(run, ["first", "second"])) == [True, True]
    assert not DefaultScope._instance_dict
