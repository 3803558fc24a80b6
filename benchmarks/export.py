"""Export trained segmentors and measure them in onnxruntime beside torch.

    python benchmarks/export.py work_dirs/demo work_dirs/camvid --measure 50 \\
        --out benchmarks/results/export.json

For each work folder and each way (one size in float32, float16 and int8, any size): the largest
error over the largest value and the pixels that change their class on the check's pictures, in
onnxruntime and OpenVINO, and mIoU or AP of ``fdam predict`` and of the runtime on the config's
test data. int8 is calibrated on 16 training pictures. Started again, it goes on.
The table of ``docs/export.md`` comes from it: ``fdam bench tables``.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from fdam_mm.apis import load_model
from fdam_mm.apis.building import test_dataset
from fdam_mm.benchmarking.results import Cases, Measurement, measure_each
from fdam_mm.benchmarking.tables import make_table
from fdam_mm.cli.export import image_size
from fdam_mm.errors import ExportError
from fdam_mm.export.exporting import export
from fdam_mm.files import require_writable
from fdam_mm.toolkits.scope import scope_of, toolkit_scope

WAYS: dict[str, dict[str, Any]] = {
    "fp32": dict(),
    "fp16": dict(precision="fp16"),
    "int8": dict(precision="int8"),
    "dynamic": dict(dynamic=True),
}


def measure(
    work_dir: Path,
    way: str,
    size: tuple[int, int] | None,
    num_checked: int,
    num_measured: int,
) -> Cases:
    """One model in one way; what cannot be exported has its ``reason``."""
    model: Any = load_model(work_dir, device="cpu")
    pictures = _pictures(model.cfg, "test_dataloader", num_checked)
    calibrate = _pictures(model.cfg, "train_dataloader", 16) if way == "int8" else None
    begin = time.process_time()
    found = dict(model=work_dir.name, way=way, data=_data(model))
    with tempfile.TemporaryDirectory() as folder:
        try:
            about = export(
                model, Path(folder) / "model.onnx", check=pictures, calibrate=calibrate,
                measured=num_measured, sizes=[size] if size and way != "dynamic" else None,
                also=["openvino"], **WAYS[way],
            )  # fmt: skip
        except ExportError as error:
            return [dict(found, reason=str(error))]
        num_bytes = sum(file.stat().st_size for file in Path(folder).glob("*.onnx"))
    assert about.check is not None
    graph, in_openvino = about.check["graphs"]
    case = dict(
        found, size=about.graphs[0].size, checked=graph, openvino=in_openvino,
        miou=about.check["metric"],
        megabytes=num_bytes / 2**20, parameters=sum(p.numel() for p in model.parameters()),
        cpu_seconds=time.process_time() - begin,
    )  # fmt: skip
    return [case]


def _pictures(config: Any, loader: str, most: int) -> list[str]:
    """Files of a loader's data, evenly spread."""
    with toolkit_scope(scope_of(config)):
        data = DATASETS.build(config[loader].dataset)
    step = max(len(data) // most, 1)
    return [data.get_data_info(i)["img_path"] for i in range(0, len(data), step)][:most]


def _data(model: Any) -> str:
    _, dataset = test_dataset(model.cfg)
    return Path(dataset.get("data_root") or "data").name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work_dirs", nargs="+", type=Path)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--size", type=image_size, help="HxW of the model's input (the config's)")
    parser.add_argument("--check", type=int, default=4, help="pictures to compare logits on")
    parser.add_argument("--measure", type=int, default=0, help="pictures of the metric (all)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    require_writable(args.out)
    shape = "" if args.size is None else " --size {}x{}".format(*args.size)
    folders = " ".join(f"work_dirs/{work_dir.name}" for work_dir in args.work_dirs)
    command = f"benchmarks/export.py {folders}{shape} --measure {args.measure}"
    measurements = [
        Measurement(
            dict(model=work_dir.name, way=way),
            partial(measure, work_dir, way, args.size, args.check, args.measure),
        )
        for work_dir in args.work_dirs
        for way in args.ways
    ]
    results = measure_each(measurements, command, "cpu", args.out, kind="exports")
    print("\n".join(make_table(results)))


if __name__ == "__main__":
    main()
