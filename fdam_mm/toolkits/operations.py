"""mmcv's compiled operations: what they were compiled for, and whether those we use work.

``python -m fdam_mm.toolkits.operations [--cuda 13.0 --architectures 9.0]`` checks an installation.
"""

import argparse
import mmap
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from .patches.absent_operations import why_absent


def compiled_for() -> str:
    """``13.0``, the CUDA version that mmcv was compiled with, or ``not available``.

    Raises:
        ImportError: mmcv is absent, broken, or was installed without its operations.
    """
    if reason := why_absent():
        raise ImportError(reason)
    from mmcv.ops import get_compiling_cuda_version

    return get_compiling_cuda_version()


def has_kernels() -> bool:
    """Whether mmcv's operations are there and were compiled for CUDA."""
    return not why_absent() and compiled_for() != "not available"


def why_missing(device: str) -> str:
    """Why mmcv's operations cannot be called on a device, ``cuda:0`` say; "" where they can."""
    reason = why_absent()
    if reason or not device.startswith("cuda") or has_kernels():
        return reason
    return "mmcv's operations were compiled for the CPU alone"


def library() -> Path:
    """The file of mmcv's compiled operations.

    Raises:
        ImportError: mmcv is absent or was installed without them.
    """
    spec = find_spec("mmcv._ext")
    if spec is None or spec.origin is None:
        raise ImportError("mmcv is installed without its compiled operations")
    return Path(spec.origin)


def missing_kernels(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that are no CUDA kernel of mmcv's library."""
    with (
        library().open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return [
            name for name in names if content.find(f"{len(name)}{name}".encode()) < 0
        ]  # mangled


def architectures() -> set[str] | None:
    """``{"9.0"}``, those that mmcv's library has machine code for; None where nothing can tell."""
    spec = find_spec("triton")  # which comes with torch's CUDA builds and brings cuobjdump
    if spec is None or spec.origin is None:
        return None
    cuobjdump = Path(spec.origin).parent / "backends/nvidia/bin/cuobjdump"
    try:
        done = subprocess.run(
            [cuobjdump, "--list-elf", library()], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return {f"{major}.{minor}" for major, minor in re.findall(r"sm_(\d+)(\da?)\.", done.stdout)}


def _deformable_attention(device: torch.device) -> bool:
    from mmcv.ops.multi_scale_deform_attn import (
        MultiScaleDeformableAttnFunction,
        multi_scale_deformable_attn_pytorch,
    )

    torch.manual_seed(0)
    sizes = torch.tensor([[5, 4], [3, 2]])
    starts = torch.tensor([0, 20])
    values = torch.rand(1, 26, 2, 8)  # (B, N, h, d)
    points = torch.rand(1, 3, 2, 2, 4, 2)  # (B, queries, h, levels, points, xy)
    weights = torch.rand(1, 3, 2, 2, 4)
    expected = multi_scale_deformable_attn_pytorch(values, sizes, points, weights)
    if device.type == "cpu":  # where mmcv has that form alone
        return expected.shape == (1, 3, 16)
    inputs = (t.to(device) for t in (values, sizes, starts, points, weights))
    return _close(MultiScaleDeformableAttnFunction.apply(*inputs, 64), expected)


def _rotated_nms(device: torch.device) -> bool:
    from mmcv.ops import nms_rotated

    boxes = torch.tensor([[10.0, 10, 8, 4, 0.3], [10, 10, 8, 4, 0.31], [30, 30, 8, 4, 0.3]])
    scores = torch.tensor([0.9, 0.8, 0.7])
    kept = nms_rotated(boxes.to(device), scores.to(device), 0.5)[1]
    return kept.tolist() == [0, 2]


def _rotated_iou(device: torch.device) -> bool:
    from mmcv.ops import box_iou_rotated

    boxes = torch.tensor([[10.0, 10, 8, 4, 0.0], [10, 10, 4, 8, torch.pi / 2]], device=device)
    return _close(box_iou_rotated(boxes, boxes), torch.ones(2, 2))


def _rotated_roi_align(device: torch.device) -> bool:
    from mmcv.ops import RoIAlignRotated

    ramp = torch.arange(16.0).expand(1, 1, 16, 16).contiguous().to(device)  # value = x
    rois = torch.tensor([[0, 8.0, 8, 4, 4, torch.pi / 2]], device=device)
    across = RoIAlignRotated(2, 1.0, sampling_ratio=2, clockwise=True)(ramp, rois)[0, 0]
    # A quarter turn: x is constant along a row of the box, 2 apart from row to row.
    return _close(across[:, 0] - across[:, 1], torch.zeros(2)) and _close(
        (across[0] - across[1]).abs(), torch.full((2,), 2.0)
    )


def _close(out: Tensor, expected: Tensor) -> bool:
    return torch.allclose(out.cpu(), expected, atol=1e-4)


_CHECKS: dict[str, tuple[str, Callable[[torch.device], bool]]] = {
    # name: its kernel, and a call whose result is known
    "deformable attention": ("ms_deformable_im2col_gpu_kernel", _deformable_attention),
    "rotated NMS": ("nms_rotated_cuda_kernel", _rotated_nms),
    "rotated IoU": ("box_iou_rotated_cuda_kernel", _rotated_iou),
    "rotated RoI align": ("roi_align_rotated_forward_cuda_kernel", _rotated_roi_align),
}


def check(device: torch.device) -> dict[str, str]:
    """Call each operation that our models use: its name -> "" or what is wrong."""
    results = {}
    for name, (_, call) in _CHECKS.items():
        try:
            results[name] = "" if call(device) else "wrong result"
        except Exception as error:  # an operation that is not there raises anything
            results[name] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return results


def faults(cuda: str | None, wanted: Iterable[str] = ()) -> list[str]:
    """What keeps mmcv from serving.

    Args:
        cuda: The CUDA version it must be compiled for; its operations are then called on the GPU
            where there is one.
        wanted: Architectures it must have machine code for, "9.0" say.
    """
    if cuda is None:
        return _failures(torch.device("cpu"))
    if compiled_for() != cuda:
        return [f"mmcv was compiled for CUDA: {compiled_for()}; torch's is {cuda}"]
    kernels = missing_kernels(kernel for kernel, _ in _CHECKS.values())
    there = architectures()
    lacking = [] if there is None else sorted(set(wanted) - there)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return [
        *(f"no kernel {name} in mmcv's library" for name in kernels),
        *(f"mmcv's library has no code for compute capability {a}" for a in lacking),
        *_failures(device),
    ]


def _failures(device: torch.device) -> list[str]:
    return [f"{name} on {device}: {fault}" for name, fault in check(device).items() if fault]


def main() -> None:
    """Check the installation: what works to stdout, or faults to stderr and status 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuda", help="the CUDA version it must be compiled for")
    parser.add_argument("--architectures", nargs="*", default=(), help="compute capabilities")
    args = parser.parse_args()
    found = faults(args.cuda, args.architectures)
    if found:
        sys.exit("\n".join(found))
    where = "on the GPU" if args.cuda and torch.cuda.is_available() else "on the CPU"
    kernels = f"; CUDA {args.cuda} kernels are in the library" if args.cuda else ""
    sys.stdout.write(f"called {where}: {', '.join(_CHECKS)}{kernels}\n")


if __name__ == "__main__":
    main()
