"""Every patch says what it was seen in, and a test tells when it can go."""

import pkgutil
import re
from pathlib import Path

import pytest

from fdam_mm.toolkits import patches

NAMES = sorted(module.name for module in pkgutil.iter_modules(patches.__path__))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "everywhere"])
def test_reason_version_and_test(name: str) -> None:
    text = (Path(patches.__path__[0]) / f"{name}.py").read_text()
    assert re.search(r"^Seen in mm\w+ \d+\.\d+\.\d+", text, re.MULTILINE)
    assert re.search(rf"^{name} ", patches.__doc__, re.MULTILINE)
    assert "def test_upstream_" in Path(__file__).with_name(f"test_{name}.py").read_text()
