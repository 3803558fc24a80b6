"""Settings of the tests of training."""

import pytest
from mmengine.runner import runner
from yapf.yapflib import yapf_api


@pytest.fixture(autouse=True)
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings without what takes longer than they: compilers are asked for their versions, and
    configs are formatted eight times."""
    monkeypatch.setattr(runner, "collect_env", dict)
    monkeypatch.setattr(yapf_api, "FormatCode", lambda text, **_: (text, True))
