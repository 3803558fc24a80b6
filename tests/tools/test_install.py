"""What the installer says when something is missing; `make test` runs it for real."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.tools import ROOT

COMMANDS = ("awk", "bash", "cat", "cksum", "dirname", "env", "grep", "sed")


def install(
    folder: Path, extra: Mapping[str, str] | None = None, **fakes: str
) -> subprocess.CompletedProcess:
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
        env={**os.environ, "PATH": str(commands), "PYTHON": sys.executable, **(extra or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_no_disk_space(tmp_path: Path) -> None:
    done = install(tmp_path, df="echo header; echo disk 9 9 3145728 1% /")  # 3 GB
    assert done.returncode == 1
    assert "3 GB free" in done.stderr and "12 GB needed" in done.stderr


def test_mmcv_that_does_not_build_ends_the_installation(tmp_path: Path) -> None:
    python = tmp_path / "venv/bin/python"  # does all but that
    python.parent.mkdir(parents=True)
    script = 'case "$*" in *install_mmcv.py*) echo no compiler >&2; exit 1 ;; esac'
    python.write_text(f"#!/bin/bash\n{script}\n")
    python.chmod(0o755)
    done = install(tmp_path, df="echo header; echo disk 9 9 99999999 1% /")
    assert done.returncode == 1
    assert "[3/5]" in done.stdout and "[4/5]" not in done.stdout
    assert done.stderr == "no compiler\n"


@pytest.mark.parametrize(
    ("made_for", "wanted", "is_done"),
    [
        ("cpu", {}, True),
        ("cuda ", {}, True),
        ("cpu", {"FORCE_CUDA": "1"}, False),
        ("cpu", {"MMCV_WITH_OPS": "0"}, True),
        ("bare", {"MMCV_WITH_OPS": "0"}, True),
        ("bare", {}, False),
    ],
)
def test_an_installation_is_done_again_for_a_gpu(
    tmp_path: Path, made_for: str, wanted: dict[str, str], is_done: bool
) -> None:
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/bash\ncase "$*" in *install_mmcv.py*) exit 1 ;; esac\n')
    python.chmod(0o755)
    tools = [
        f"tools/{name}" for name in ("install.sh", "install_mmcv.py", "building/cuda_target.py")
    ]
    read = b"".join(
        (ROOT / name).read_bytes() for name in ("requirements.txt", "pyproject.toml", *tools)
    )
    stamp = subprocess.run("cksum", input=read, capture_output=True).stdout.decode().strip()
    (tmp_path / "venv/.fdam_mm").write_text(f"{stamp} {ROOT} {made_for}\n")
    done = install(tmp_path, wanted, df="echo header; echo disk 9 9 99999999 1% /")
    assert done.returncode == (0 if is_done else 1), done.stderr
    assert ("[1/5]" in done.stdout) is not is_done


def test_no_python(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", ROOT / "tools/install.sh", tmp_path / "venv"],
        env={**os.environ, "PYTHON": "python9"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "python9 not found" in done.stderr
