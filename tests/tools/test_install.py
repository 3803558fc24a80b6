"""What the installer says when something is missing; `make test` runs it for real."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.tools import ROOT

COMMANDS = ("awk", "bash", "cat", "cksum", "dirname", "env", "grep", "sed")


def install(folder: Path, **fakes: str) -> subprocess.CompletedProcess:
    """Run tools/install.sh with only COMMANDS and ``fakes`` (name -> shell script) on the PATH."""
    commands = folder / "bin"
    commands.mkdir()
    for name in COMMANDS:
        (commands / name).symlink_to(shutil.which(name))
    for name, script in fakes.items():
        (commands / name).write_text(f"#!/bin/bash\n{script}\n")
        (commands / name).chmod(0o755)
    return subprocess.run(
        ["bash", ROOT / "tools/install.sh", folder / "venv"],
        env={**os.environ, "PATH": str(commands), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_no_disk_space(tmp_path: Path) -> None:
    done = install(tmp_path, df="echo header; echo disk 9 9 3145728 1% /")  # 3 GB
    assert done.returncode == 1
    assert "3 GB free" in done.stderr and "12 GB needed" in done.stderr


def test_no_compiler(tmp_path: Path) -> None:
    python = tmp_path / "venv/bin/python"  # finds no wheel, does all else
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/bash\ncase "$*" in *--only-binary*) exit 1 ;; esac\n')
    python.chmod(0o755)
    done = install(tmp_path, df="echo header; echo disk 9 9 99999999 1% /")
    assert done.returncode == 1
    assert "no C++ compiler" in done.stderr and "apt-get install g++" in done.stderr


def test_no_python(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", ROOT / "tools/install.sh", tmp_path / "venv"],
        env={**os.environ, "PYTHON": "python9"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "python9 not found" in done.stderr
