"""The Python of docs/analysis.md, run as it stands; its commands are those of tests/cli."""

import re

import pytest
from support.tools import ROOT


def test_it_runs(capsys: pytest.CaptureFixture) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/analysis.md").read_text(), re.S)
    exec(code, {})
    assert len(capsys.readouterr().out.splitlines()) == 6
