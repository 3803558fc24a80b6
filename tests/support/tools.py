"""Running the tools as a user does."""

import json
import os
import subprocess
import sys
from pathlib import Path

from support.paths import ROOT, python_path
from support.warm import Script

TINY = ROOT / "tests/support/tiny.py"


def run_tool(
    name: str, *arguments: object, cwd: Path, fresh: bool = False
) -> subprocess.CompletedProcess:
    """Run tools/``name`` in ``cwd`` with this interpreter.

    A tool in Python finds torch and the toolkits imported (:mod:`support.warm`), unless ``fresh``.
    """
    tool = ROOT / "tools" / name
    if tool.suffix == ".py" and not fresh:
        script = Script(tool, *arguments, cwd=cwd, path=cwd)
        out, err = script.communicate(timeout=300)
        return subprocess.CompletedProcess([name, *arguments], script.wait(), out, err)
    command = [sys.executable, tool] if tool.suffix == ".py" else ["bash", tool]
    environment = {**os.environ, "PYTHON": sys.executable}
    environment["PYTHONPATH"] = python_path(cwd)
    environment["OMP_NUM_THREADS"] = "1"  # the models are too small for more
    return subprocess.run(
        [*map(str, command), *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def succeed(name: str, *arguments: object, cwd: Path, fresh: bool = False) -> str:
    """Run a tool that must succeed; returns what it printed."""
    done = run_tool(name, *arguments, cwd=cwd, fresh=fresh)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


def fail(name: str, *arguments: object, cwd: Path) -> str:
    """Run a tool that must fail with one clear line; returns that line."""
    done = run_tool(name, *arguments, cwd=cwd)
    assert done.returncode != 0, done.stdout[-3000:]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done.stderr.strip()


def losses(work_dir: Path) -> list[float]:
    """The logged training losses of the newest run in ``work_dir``."""
    newest = sorted(work_dir.glob("*/vis_data/scalars.json"))[-1]
    records = map(json.loads, newest.read_text().splitlines())
    return [record["loss"] for record in records if "loss" in record]


def metric(work_dir: Path, name: str = "mIoU") -> float:
    """The result of the newest test in ``work_dir``."""
    newest = max(work_dir.glob("*/*.json"), key=lambda file: file.stat().st_mtime)
    return json.loads(newest.read_text())[name]
