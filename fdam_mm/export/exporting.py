"""``export``: a model to ONNX, checked before anything is written."""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from fdam_mm.errors import ExportError, UsageError
from fdam_mm.files import require_writable, write_atomically
from fdam_mm.runtime.description import Description, Graph, Size

from .checking import (
    BOUNDS,
    RUNTIMES,
    Comparison,
    compare,
    first_difference,
    pictures_for,
)
from .core import Core, parts
from .describing import default_sizes, describe, task_of, window_stride
from .instances import MaskDINOInstances, RawMaskDINO
from .measuring import measure
from .onnx_file import joined, to_half, to_onnx
from .pooling import pooling_by_matrices
from .quantising import to_int8
from .rotated import Oriented, RawOriented
from .segmentor import RawSegmentor, Segmentor

Precision = Literal["fp32", "fp16", "int8"]
Runtime = Literal["openvino", "tensorrt"]
_RAW: dict[str, Callable[..., Core]] = {
    "segmentation": RawSegmentor,
    "instances": RawMaskDINO,
    "rotated": RawOriented,
}
_WHOLE: dict[str, Callable[..., Core]] = {
    "segmentation": Segmentor,
    "instances": MaskDINOInstances,
    "rotated": Oriented,
}


def export(
    model: nn.Module,
    out: str | Path,
    sizes: Sequence[Size] | None = None,
    *,
    dynamic: bool = False,
    raw: bool = False,
    precision: Precision = "fp32",
    calibrate: Any = None,
    check: Any = None,
    measured: int | None = None,
    also: Sequence[Runtime] = (),
) -> Description:
    """Write a model as ONNX with the JSON that :mod:`fdam_mm.runtime` reads.

    The export is run in onnxruntime beside torch first; where it is not the model, nothing is
    written.

    Args:
        model: A segmentor of mmseg, Mask DINO or Oriented R-CNN, from
            :func:`fdam_mm.apis.load_model`, on the CPU.
        out: ``OUT.onnx``; the JSON gets its name. With several sizes each graph's name has its.
        sizes: Height and width of the model's input; None takes the config's.
        dynamic: Let the model compute at any size, in the place of ``sizes``.
        raw: Without what stands before and after the model.
        precision: ``fp16`` computes in float16 but for FDAM's layers; ``int8`` convolutions and
            products in 8 bits, but for FDAM's layers.
        calibrate: Pictures, as ``check``, whose ranges ``int8`` takes.
        check: Pictures, as :func:`fdam_mm.apis.predict` takes them; None draws noise.
        measured: Also measure mIoU, or AP, of both on so many pictures of the config's test data;
            0 takes all.
        also: Runtimes to compare in beside onnxruntime: ``openvino``, ``tensorrt``.

    Returns:
        What was written, with ``check``.

    Raises:
        UsageError: An argument is wrong.
        ExportError: The model cannot be exported, or the export is not the model.
        WriteError: ``out`` cannot be written.
    """
    out = Path(out)
    _refuse(model, out, sizes, dynamic, raw, precision, measured)
    _require_calibration(precision, calibrate)
    chosen: list[Size | None] = [None] if dynamic else [*(sizes or default_sizes(model))]
    about = describe(model, (), not raw, precision)
    with tempfile.TemporaryDirectory() as folder:
        graphs, found = [], []
        for size in chosen:
            runtimes = ("onnxruntime", *also)
            content, comparisons = _checked(model, about, size, check, runtimes, calibrate)
            file = out.name if len(chosen) == 1 else f"{out.stem}_{size[0]}x{size[1]}.onnx"  # type: ignore[index]
            (Path(folder) / file).write_bytes(content)
            graphs.append(Graph(file, size, hashlib.sha256(content).hexdigest()))
            found += [dict(file=file, runtime=r, **asdict(c)) for r, c in comparisons.items()]
        about = replace(about, graphs=tuple(graphs), check=dict(graphs=found))
        staged = Path(folder) / f"{out.stem}.json"
        staged.write_text(about.to_json())
        if measured is not None:
            metric = measure(model, staged, measured or None)
            about = replace(about, check=dict(graphs=found, metric=metric))
        for graph in graphs:
            write_atomically(out.parent / graph.file, (Path(folder) / graph.file).read_bytes())
    write_atomically(out.with_suffix(".json"), about.to_json())
    return about


def _checked(
    model: nn.Module,
    about: Description,
    size: Size | None,
    check: Any,
    runtimes: Sequence[str] = ("onnxruntime",),
    calibrate: Any = None,
) -> tuple[bytes, dict[str, Comparison]]:
    """The graph of one size, compared in each of the runtimes.

    Raises:
        ExportError: It is off by more than the bounds; says where.
    """
    module = core_of(model, about, size)
    content = converted(module, about, size, calibrate)
    comparisons = {}
    for runtime in runtimes:
        images = pictures_for(about, size, check)
        found = compare(module, RUNTIMES[runtime](content), images, drawn=check is None)
        bound, most_changed = BOUNDS[about.precision]
        if not (found.error <= bound and found.changed <= most_changed):
            raise ExportError(
                f"the export is not the model: in {runtime} {found.worst} are off by "
                f"{found.largest_error:.1e}, that is {found.error:.1e} of the largest (at most "
                f"{bound:.0e}), and {found.changed:.2%} of the pixels change their class (at most "
                f"{most_changed:.1%}); "
                f"{_where(model, about, size, check, runtime, calibrate)}"
            )
        comparisons[runtime] = found
    return content, comparisons


def _where(
    model: nn.Module,
    about: Description,
    size: Size | None,
    check: Any,
    name: str,
    calibrate: Any = None,
) -> str:
    """The first part that is off, by an export that gives the results of all."""
    image = torch.from_numpy(next(pictures_for(about, size, check)))
    names = parts(model, core_of(model, about, size), image)
    probed = core_of(model, about, size, names)
    content = converted(probed, about, size, calibrate)
    return first_difference(probed, content, name, image, names, BOUNDS[about.precision][0])


def core_of(
    model: nn.Module, about: Description, size: Size | None, probes: Sequence[str] = ()
) -> Core:
    """What is exported of a model, as its description says."""
    if about.processing:
        return _WHOLE[about.task](model, about, size, probes).eval()
    return _RAW[about.task](model, probes).eval()


def converted(module: Core, about: Description, size: Size | None, calibrate: Any = None) -> bytes:
    """The ONNX file of :func:`core_of`, in the description's precision."""
    axes = [1, 2] if about.processing else ([] if size else [2, 3])
    if about.task != "rotated":
        axes.append(0)
    image = dict(image=_example(about, size))
    with pooling_by_matrices(module) if size is None else nullcontext():
        if size is None and isinstance(module, Segmentor):
            content = _of_any_size(module, image, axes)
        else:
            content = to_onnx(module, image, [axes], module.outputs)
    if about.precision == "fp16":
        return to_half(content, module.model)
    if about.precision == "int8":
        return to_int8(content, module.model, pictures_for(about, size, calibrate))
    return content


def _of_any_size(module: Segmentor, image: dict[str, Tensor], axes: list[int]) -> bytes:
    """What stands before the model is a graph of its own: were the sides of the model's input
    fractions of the picture's and not symbols, torch would take minutes to compare sizes."""
    before = to_onnx(module.prepare, image, [axes], ["x"])
    inputs = dict(image, x=torch.zeros(2, 3, 136, 168))
    return joined(before, to_onnx(module, inputs, [axes, [0, 2, 3]], module.outputs))


def _example(about: Description, size: Size | None) -> Tensor:
    """Of no special size, which torch would take for a constant."""
    height, width = size or (136, 168)
    batch = 1 if about.task == "rotated" else 2
    if not about.processing:
        return torch.zeros(batch, 3, height, width)
    if size is not None:
        height, width = max(height - 1, 1), max(width - 2, 1)
    return torch.from_numpy(np.zeros((batch, height, width, 3), np.uint8))


def _refuse(
    model: Any,
    out: Path,
    sizes: Sequence[Size] | None,
    dynamic: bool,
    raw: bool,
    precision: str,
    measured: int | None,
) -> None:
    if out.suffix != ".onnx":
        raise UsageError(f"the export's name is {out}, expected one that ends in .onnx")
    require_writable(out)
    task = task_of(model)
    if precision not in BOUNDS:
        raise UsageError(f"precision is {precision!r}, expected one of {', '.join(BOUNDS)}")
    if dynamic and sizes:
        raise UsageError("a dynamic export has no sizes: give one of the two")
    if dynamic:
        _require_any_size(model, task)
    if task != "segmentation" and precision == "int8":
        raise ExportError(
            f"{type(model).__name__} has no export in int8: average precision fell where a "
            "detector was measured (docs/export.md); take fp32, or try fp16"
        )
    if window_stride(model) is not None and (
        dynamic or (sizes and [*sizes] != default_sizes(model))
    ):
        height, width = default_sizes(model)[0]
        raise ExportError(
            f"the config predicts windows of {height} x {width} in pictures of any size; leave "
            "the size to it"
        )
    if raw and measured is not None:
        raise UsageError("the metric is measured through the runtime, which needs the processing")
    if any(p.device.type != "cpu" for p in model.parameters()):
        raise UsageError("the model is not on the CPU; load it with device='cpu'")


def _require_any_size(model: Any, task: str) -> None:
    if task != "segmentation":
        raise ExportError(
            f"{type(model).__name__} has no export of any size: positions and proposals are "
            "constants of a size; name those that you need: --size HxW ..."
        )
    if not getattr(model.backbone, "exports_any_size", True):
        raise ExportError(
            f"{type(model.backbone).__name__} has no export of any size: torch's exporter does "
            "not follow the sizes of its maps; name those that you need: --size HxW ..."
        )


def _require_calibration(precision: str, calibrate: Any) -> None:
    if precision == "int8" and calibrate is None:
        raise UsageError(
            "int8 takes its ranges from pictures: give some of the training data, --calibrate"
        )
    if precision != "int8" and calibrate is not None:
        raise UsageError(f"precision is {precision!r}; only int8 has pictures to calibrate with")
