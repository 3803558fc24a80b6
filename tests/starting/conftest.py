"""Trainings of this folder start without asking compilers for their versions."""

import pytest
from mmengine.runner import runner


@pytest.fixture(autouse=True)
def unasked_compilers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "collect_env", dict)
