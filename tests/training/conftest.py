"""Settings of the tests of training."""

import pytest
from support.quick_start import start_quickly


@pytest.fixture(autouse=True)
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    start_quickly(monkeypatch)
