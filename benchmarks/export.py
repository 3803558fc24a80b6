"""Export every kind of model and measure it in onnxruntime and OpenVINO beside torch.

    python benchmarks/export.py --out benchmarks/results/export.json \\
        --trained work_dirs/camvid:360x480 work_dirs/nuts:192x256 --measure 40

Of each small random model of ``tests/support/export_models.py``, of one size and of any: the
largest error over the largest value on three pictures of noise. Of each trained model, in float32
and float16, segmentors in int8 too (calibrated on 16 training pictures): that on pictures of its
test data, and mIoU or AP of ``fdam predict`` and of the runtime. Of what is refused the message.
Started again, it goes on. The tables of ``docs/export.md`` come from it: ``fdam bench tables``.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import DATASETS
from torch import nn

from fdam_mm.apis import load_model
from fdam_mm.apis.building import test_dataset
from fdam_mm.benchmarking.results import Measurement, measure_each
from fdam_mm.benchmarking.tables import make_table
from fdam_mm.cli.export import image_size
from fdam_mm.errors import ExportError
from fdam_mm.export.describing import default_sizes, task_of
from fdam_mm.export.exporting import Precision, export
from fdam_mm.files import require_writable
from fdam_mm.toolkits.scope import scope_of, toolkit_scope

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))
from support.export_models import MODELS, SIZE, refused_models  # noqa: E402


def noise_models(names: list[str], any_size: bool) -> Iterator[Measurement]:
    """Of random models, and of those that are refused."""
    for name in names:
        build = (MODELS | refused_models())[name]
        sizes = None if any_size else [SIZE]
        yield _measurement(
            name, None, "fp32", any_size, lambda b=build, s=sizes: measure(b(), s, check=_noise())
        )


def trained(
    folder: Path, size: tuple[int, int] | None, checked: int, most: int
) -> Iterator[Measurement]:
    """A work folder's in each precision, and of any size."""
    model: Any = load_model(folder, device="cpu")
    chosen = [size] if size else default_sizes(model)
    ways: list[tuple[Precision, bool]] = [("fp32", False), ("fp16", False)]
    if task_of(model) == "segmentation":
        ways += [("int8", False), ("fp32", True)]
    for precision, any_size in ways:

        def run(precision: Precision = precision, any_size: bool = any_size) -> dict[str, Any]:
            calibrate = _pictures(model, "train_dataloader", 16) if precision == "int8" else None
            check = _pictures(model, "test_dataloader", checked)
            return measure(
                model, None if any_size else chosen, precision=precision, calibrate=calibrate,
                check=check, measured=most,
            )  # fmt: skip

        yield _measurement(folder.name, _data(model), precision, any_size, run)


def _measurement(
    model: str, data: str | None, precision: str, any_size: bool, run: Callable[[], dict[str, Any]]
) -> Measurement:
    known = dict(model=model, data=data, precision=precision, any_size=any_size)
    return Measurement(known, lambda: [known | run()])


def measure(
    model: nn.Module, sizes: list[tuple[int, int]] | None, **settings: Any
) -> dict[str, Any]:
    """Without ``sizes`` of any; what cannot be exported has its ``reason``."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        try:
            about = export(
                model, file, sizes, dynamic=sizes is None, also=["openvino"], **settings
            )
        except ExportError as error:
            return dict(reason=str(error))
        found = dict(size=about.graphs[0].size, batch=batch_of(file))
        megabytes = file.stat().st_size / 2**20
    assert about.check is not None
    checks = {check.pop("runtime"): check for check in about.check["graphs"]}
    return dict(found, checks=checks, metric=about.check.get("metric"), megabytes=megabytes)


def batch_of(file: Path) -> int | None:
    """What the graph says of its input's first axis; None is any."""
    import onnx

    axis = onnx.load(file).graph.input[0].type.tensor_type.shape.dim[0]
    return axis.dim_value if axis.HasField("dim_value") else None


def _noise() -> list[np.ndarray]:
    """A picture of the model's size, a larger and a smaller one, whose sides nothing divides."""
    generator = np.random.default_rng(0)
    sizes = (SIZE, (100, 130), (53, 77))
    return [generator.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def _pictures(model: Any, loader: str, most: int) -> list[str]:
    """Files of a loader's data, evenly spread."""
    with toolkit_scope(scope_of(model.cfg)):
        data = DATASETS.build(model.cfg[loader].dataset)
    step = max(len(data) // most, 1)
    return [data.get_data_info(i)["img_path"] for i in range(0, len(data), step)][:most]


def _data(model: Any) -> str:
    _, dataset = test_dataset(model.cfg)
    return Path(dataset.get("data_root") or "data").name


def _sized(text: str) -> tuple[Path, tuple[int, int] | None]:
    """FOLDER or FOLDER:HxW."""
    folder, _, size = text.partition(":")
    return Path(folder), image_size(size) if size else None


def main() -> None:
    every = [*MODELS, *refused_models()]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="*", choices=every, default=every)
    parser.add_argument("--trained", nargs="*", type=_sized, default=[], metavar="FOLDER[:HxW]")
    parser.add_argument("--check", type=int, default=4, help="pictures to compare results on")
    parser.add_argument("--measure", type=int, default=0, help="pictures of the metric (all)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    require_writable(args.out)
    measurements = [
        *noise_models(args.models, False),
        *noise_models([name for name in args.models if name in MODELS], True),
    ]
    command = "benchmarks/export.py"
    for folder, size in args.trained:
        measurements += trained(folder, size, args.check, args.measure)
        shape = ":{}x{}".format(*size) if size else ""
        command += f"{'' if '--' in command else ' --trained'} work_dirs/{folder.name}{shape}"
    command += f" --measure {args.measure}"
    results = measure_each(measurements, command, "cpu", args.out, kind="exports")
    print("\n".join(make_table(results)))


if __name__ == "__main__":
    main()
