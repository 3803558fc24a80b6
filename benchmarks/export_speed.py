"""Time torch, torch.compile, onnxruntime and OpenVINO on the same models, in float32 and int8.

    python benchmarks/export_speed.py --out benchmarks/results/export-speed.json

The models have random weights: what is timed is one picture through the model, normalised input to
logits. Every round runs each way once, one after the other; wall time, on one and on two threads.
Started again, it goes on. The table of ``docs/export.md`` comes from it: ``fdam bench tables``.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fdam_mm.apis import load_model
from fdam_mm.benchmarking.results import Cases, Measurement, measure_each
from fdam_mm.benchmarking.tables import make_table
from fdam_mm.benchmarking.timing import measure, summarise
from fdam_mm.export.checking import OpenVINOSession, session_of
from fdam_mm.export.describing import describe, task_of
from fdam_mm.export.exporting import converted, core_of
from fdam_mm.export.quantising import to_int8
from fdam_mm.files import require_writable

_LSKNET = dict(
    type="LSKNet", embed_dims=(32, 64, 160, 256), depths=(3, 3, 5, 2), fdam=dict(freq_scale=True)
)
MODELS: dict[str, tuple[str, tuple[int, int], dict[str, Any]]] = {
    "SegFormer-B0": ("configs/demo/fdam-segformer_demo.py", (256, 256), {}),
    "ViT with UperNet": ("configs/demo/fdam-vit_demo.py", (128, 128), {}),
    "LSKNet-T with SegFormer's head": (
        "configs/demo/fdam-segformer_demo.py", (256, 256),
        {"model.backbone": dict(_delete_=True, **_LSKNET),
         "model.decode_head.in_channels": [32, 64, 160, 256]},
    ),
    "EoMT on DINOv3's ViT-S": ("tests/support/tiny_eomt.py", (256, 256), {
        "model.backbone.depth": 12, "model.backbone.embed_dim": 384,
        "model.backbone.num_heads": 6, "model.backbone.num_blocks": 4,
        "model.backbone.img_size": 256}),
    "Mask DINO, demo": ("configs/demo/fdam-mask-dino_demo.py", (128, 128), {}),
}  # fmt: skip


def bench(name: str, rounds: int, threads: list[int]) -> Cases:
    """A case for each number of threads."""
    config, size, options = MODELS[name]
    torch.manual_seed(0)
    model: Any = load_model(config, device="cpu", options=options)
    about = describe(model, (), False, "fp32")
    core = core_of(model, about, size)
    content = converted(core, about, size)
    image = np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32)
    contents = {"": content}
    if task_of(model) == "segmentation":  # detectors are not exported in int8
        contents[", int8"] = to_int8(content, model, [image, image[..., ::-1].copy()])
    compiled = torch.compile(core, dynamic=False)
    x, outputs = torch.from_numpy(image), list(core.compared)
    cases = []
    for number in threads:
        torch.set_num_threads(number)
        sessions: dict[str, Any] = {}
        for precision, each in contents.items():
            sessions[f"onnxruntime{precision}"] = session_of(each)
            sessions[f"OpenVINO{precision}"] = OpenVINOSession(each)
        steps: dict[str, Callable[[], None]] = {
            "torch": lambda: _run(core, x), "torch.compile": lambda: _run(compiled, x)
        }  # fmt: skip
        for way, session in sessions.items():
            steps[way] = lambda s=session: s.run(outputs, {"image": image}) and None
        found = summarise(measure(steps, rounds, "cpu", clock=time.perf_counter))
        cases.append(
            dict(config=title(name, number), shape=size, batch=1, mode="inference", variants=found)
        )
    torch.set_num_threads(1)
    return cases


def title(name: str, threads: int) -> str:
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"


def _run(module: Any, x: torch.Tensor) -> None:
    with torch.inference_mode():
        module(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    require_writable(args.out)
    command = f"benchmarks/export_speed.py --rounds {args.rounds}"
    torch._inductor.config.cpp.dynamic_threads = True
    torch.set_num_threads(1)
    measurements = [
        Measurement(
            dict(config=title(name, args.threads[0])),
            partial(bench, name, args.rounds, args.threads),
        )
        for name in args.models
    ]
    results = measure_each(measurements, command, "cpu", args.out)
    print("\n".join(make_table(results)))


if __name__ == "__main__":
    main()
