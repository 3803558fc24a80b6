"""What mmcv's operations are to be compiled for on this machine, and with which nvcc.

Only the standard library and torch: this runs before mmcv and the toolkits are there.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

# nvcc's parts come as packages of their own. Left to itself pip pairs nvcc 13.0 with newer ones.
NVCC_PACKAGES = ("nvidia-cuda-nvcc", "nvidia-nvvm", "nvidia-cuda-crt", "nvidia-cuda-cccl")


class Unbuildable(Exception):
    """Why nothing can be compiled here, and what to do."""


class Target(NamedTuple):
    """``cuda`` is torch's CUDA version, "13.0", or None for operations that run on a CPU alone."""

    cuda: str | None
    architectures: tuple[str, ...]  # as TORCH_CUDA_ARCH_LIST has them: ("8.6", "9.0")
    why: str

    @property
    def name(self) -> str:
        """For a file name: ``cpu``, ``cu130-8.6-9.0``."""
        if self.cuda is None:
            return "cpu"
        return "-".join(["cu" + self.cuda.replace(".", ""), *self.architectures])


def choose_target(env: Mapping[str, str] = os.environ) -> Target:
    """CUDA where a GPU is seen or FORCE_CUDA=1, for the GPUs seen or TORCH_CUDA_ARCH_LIST.

    Raises:
        Unbuildable: A GPU is wanted and this torch was compiled without CUDA.
    """
    forced = env.get("FORCE_CUDA")
    if forced == "0":
        return Target(None, (), "FORCE_CUDA=0")
    seen = _seen_capabilities()
    if not seen and forced != "1":
        return Target(None, (), "no NVIDIA GPU is seen, and FORCE_CUDA=1 is not set")
    if torch.version.cuda is None:
        raise Unbuildable(
            f"torch {torch.__version__} was compiled without CUDA: install its CUDA build, "
            "or set FORCE_CUDA=0 for operations that run on the CPU alone"
        )
    listed = tuple(re.split(r"[;, ]+", env.get("TORCH_CUDA_ARCH_LIST", "").strip()))
    if listed != ("",):
        return Target(torch.version.cuda, listed, "TORCH_CUDA_ARCH_LIST")
    if seen:
        return Target(torch.version.cuda, seen, "the GPUs of this machine")
    names = [name.removeprefix("sm_") for name in torch._C._cuda_getArchFlags().split()]
    every = tuple(f"{n[:-1]}.{n[-1]}" for n in names if n.isdigit())
    why = "all that this torch knows; TORCH_CUDA_ARCH_LIST=9.0, say, names one and takes less time"
    return Target(torch.version.cuda, every, why)


def _seen_capabilities() -> tuple[str, ...]:
    """Compute capabilities of this machine's GPUs, those of a driver too old for torch as well."""
    if torch.cuda.is_available():
        devices = range(torch.cuda.device_count())
        seen = {torch.cuda.get_device_capability(device) for device in devices}
        return tuple(f"{major}.{minor}" for major, minor in sorted(seen))
    try:
        command = ["nvidia-smi", "--query-gpu=compute_cap,driver_version", "--format=csv,noheader"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ()
    found = re.findall(r"^(\d+\.\d+), *(\S+)$", lines, re.MULTILINE)
    if found:
        print(
            f"  note: torch {torch.__version__} cannot use the GPU with driver {found[0][1]}; "
            f"CUDA {torch.version.cuda}\n  needs a newer one. The operations are compiled for it."
        )
    return tuple(sorted({capability for capability, _ in found}, key=float))


def find_toolkit(cuda: str, env: Mapping[str, str] = os.environ) -> Path | None:
    """A CUDA toolkit on this machine whose nvcc is of exactly the version ``cuda``."""
    for home in _toolkit_homes(cuda, env):
        found = nvcc_version(home)
        if found == cuda and (home / "include/cuda_runtime.h").is_file():
            return home
        if found not in (None, cuda):
            print(f"  {home}: its nvcc is {found}, torch's CUDA is {cuda}: not used")
    return None


def _toolkit_homes(cuda: str, env: Mapping[str, str]) -> Iterator[Path]:
    homes = [env.get("CUDA_HOME"), env.get("CUDA_PATH")]
    nvcc = shutil.which("nvcc", path=env.get("PATH"))
    if nvcc:
        homes.append(str(Path(nvcc).resolve().parents[1]))
    homes += [f"/usr/local/cuda-{cuda}", "/usr/local/cuda"]
    yield from dict.fromkeys(Path(home).resolve() for home in homes if home)


def nvcc_version(home: Path) -> str | None:
    """``13.0`` of the nvcc in the toolkit ``home``; None where it has none that runs."""
    try:
        command = [home / "bin/nvcc", "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    release = re.search(r"release (\d+\.\d+)", said)
    return release.group(1) if release else None


def pip_toolkit(cuda: str) -> Path:
    """Install pip's nvcc ``cuda`` into this environment, beside torch's CUDA libraries.

    Raises:
        Unbuildable: There is none of this version that is laid out as a toolkit.
    """
    major = int(cuda.partition(".")[0])
    home = Path(sysconfig.get_path("purelib")) / f"nvidia/cu{major}"
    if nvcc_version(home) != cuda:
        pinned = [f"{package}=={cuda}.*" for package in NVCC_PACKAGES]
        print(f"  installing pip's nvcc {cuda}: about 15 s and 350 MB", flush=True)
        done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *pinned])
        if done.returncode or nvcc_version(home) != cuda:
            raise Unbuildable(
                f"pip has no nvcc {cuda} for this machine; install the CUDA toolkit {cuda} and "
                "set CUDA_HOME to its folder"
            )
    # What a toolkit has and the wheels leave out.
    for link, name in (("lib64", "lib"), ("lib/libcudart.so", f"libcudart.so.{major}")):
        if not (home / link).exists():
            (home / link).symlink_to(name)
    return home


def check_architectures(home: Path, target: Target) -> None:
    """Refuse architectures that the nvcc in ``home`` does not know, before hours of compiling.

    Raises:
        Unbuildable: Names them.
    """
    command = [home / "bin/nvcc", "--list-gpu-arch"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    known = re.findall(r"compute_(\d+)", said)
    for architecture in target.architectures:
        number = re.fullmatch(r"(\d+)\.(\d)a?(\+PTX)?", architecture)
        if not number or number[1] + number[2] not in known:
            raise Unbuildable(
                f"CUDA {target.cuda} does not compile for {architecture!r} ({target.why}); it "
                f"does for {', '.join(f'{k[:-1]}.{k[-1]}' for k in known)}"
            )
