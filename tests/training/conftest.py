"""Settings of the tests of training."""

import pytest
from mmengine.runner import runner


@pytest.fixture(autouse=True)
def no_report_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report at the start of each log asks compilers for their versions: half a second."""
    monkeypatch.setattr(runner, "collect_env", dict)
