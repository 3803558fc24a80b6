"""Every tool explains itself, with an example."""

import pytest
from support.tools import ROOT, succeed

# Those that no other test starts as a process of its own.
FRESH = ("dota_submit.py", "infer_large.py")
TOOLS = sorted(path.name for path in (ROOT / "tools").iterdir() if path.suffix in (".py", ".sh"))


@pytest.mark.parametrize("tool", TOOLS)
def test_help(tool: str, tmp_path) -> None:
    text = succeed(tool, "--help", cwd=tmp_path, fresh=tool in FRESH)
    assert "example" in text
    assert tool in text or tool in ("launch.sh", "slurm.sh")


@pytest.mark.parametrize("tool", TOOLS)
def test_can_be_started_as_the_readme_does(tool: str) -> None:
    path = ROOT / "tools" / tool
    assert path.read_text().startswith("#!/usr/bin/env ")
    assert path.stat().st_mode & 0o111
