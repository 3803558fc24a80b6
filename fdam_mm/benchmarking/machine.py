"""The machine that a benchmark ran on, as its JSON names it."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from fdam_mm.version import __version__

_PACKAGES = ("numpy", "onedl-mmcv", "onedl-mmengine", "onedl-mmsegmentation", "onedl-mmdetection")


def describe_machine(device: str) -> dict[str, object]:
    """Processor or GPU, threads, and the versions that decide about speed."""
    on_gpu = torch.device(device).type == "cuda"
    return dict(
        device=torch.cuda.get_device_name(device) if on_gpu else _processor(),
        device_type=torch.device(device).type,
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        torch=torch.__version__,
        blas="MKL" if torch.backends.mkl.is_available() else "no MKL",
        fdam_mm=__version__,
        **{name: found for name in _PACKAGES if (found := _version(name))},
    )


def load_average() -> list[float] | None:
    """Running processes over the last 1, 5 and 15 minutes, where the system tells."""
    return [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
