"""``fdam info``: versions, devices and extras, as people paste them into bug reports."""

import argparse
import importlib
import importlib.util
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import torch

from fdam_mm.layers.kernels import can_use_kernels
from fdam_mm.toolkits import operations
from fdam_mm.version import __version__

_PACKAGES = (
    "torchvision",
    "triton",
    "onedl-mmcv",
    "onedl-mmengine",
    "onedl-mmsegmentation",
    "onedl-mmdetection",
    "onedl-mmrotate",
    "timm",
    "transformers",
    "numpy",
    "opencv-python-headless",
)
_EXTRAS = {  # extra of this package: what it brings
    "geo": ("rasterio",),
    "export": ("onnx", "onnxruntime", "onnxscript"),
    "supervision": ("supervision",),
    "demo": ("gradio",),
}

_WITHOUT = (
    "segmentation and Mask DINO run, what needs an operation is refused before it starts; "
    "`make install` compiles them (docs/gpu.md)"
)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and print the table."""
    argparse.ArgumentParser(
        description="Versions, devices and extras: paste it into bug reports.",
        epilog="example:\n  fdam info",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(argv)
    rows = {**_machine(), **_packages(), **_operations(), **_extras()}
    width = max(map(len, rows))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))


def _machine() -> dict[str, str]:
    rows = {
        "fdam_mm": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "torch": f"{torch.__version__}, compiled for CUDA {torch.version.cuda or '-'}",
        "threads": str(torch.get_num_threads()),
    }
    if not torch.cuda.is_available():
        return {**rows, "GPU": "none that torch can use"}
    serves = can_use_kernels(torch.empty(0, device="cuda"))
    rows["FDAM's kernels"] = "on" if serves else "off; use_kernels() may switch them on"
    for index in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(index)
        memory = f"{found.total_memory / 2**30:.0f} GiB"
        rows[f"GPU {index}"] = f"{found.name}, {memory}, sm_{found.major}{found.minor}"
    return rows


def _packages() -> dict[str, str]:
    return {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _operations() -> dict[str, str]:
    """What mmcv's compiled operations were compiled for, whether those we use work, and what does
    not run without."""
    if importlib.util.find_spec("mmcv") is None:
        return {}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if reason := operations.why_missing(device):
        return {"mmcv operations": f"{reason}: {_WITHOUT}"}
    try:
        ops = importlib.import_module("mmcv.ops")
        cuda, compiler = ops.get_compiling_cuda_version(), ops.get_compiler_version()
    except Exception as error:  # a broken installation is what this is here to tell
        return {"mmcv operations": f"broken: {type(error).__name__}: {error}"}
    results = operations.check(torch.device(device))
    rows = {name: fault or f"works on {device}" for name, fault in results.items()}
    built = f"CUDA {cuda}, {compiler}"
    if cuda != "not available" and (found := operations.architectures()):
        built += f", compute capability {', '.join(sorted(found))}"
    return {"mmcv operations": built, **rows}


def _extras() -> dict[str, str]:
    return {
        f"extra [{extra}]": ", ".join(
            name if importlib.util.find_spec(name) else f"{name} missing" for name in names
        )
        for extra, names in _EXTRAS.items()
    }
