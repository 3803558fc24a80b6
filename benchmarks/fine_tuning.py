"""FDAM as fine-tuning against full training and a frozen backbone with a head, small, on a CPU.

A plain SegFormer-B0 is trained from scratch on CamVid's sequences in daylight (0006R0, 0016E5).
From these weights each way of fine-tuning goes on for the same number of steps:

- `camvid`: CamVid's sequence at dusk (0001TP), tested on its test pictures; the base's head stays.
- `demo`: the textures of `fdam data demo`, with a new head.

Ways: `full` trains all of the plain model, `FDAM and head` what a config's
`fine_tuning=dict(also="decode_head")` trains, `head` the head of the plain model; on camvid also
`full with FDAM` all of FDAM's twin, `FDAM alone` FDAM under the base's head, and LoRA of rank 4 on
the feed-forwards (peft) with the head, without and with FDAM. Each with every learning rate and
seed. A step's time is the median of the process's CPU time between data and updated weights.

example, about 10 minutes of one quiet core:
  python benchmarks/fine_tuning.py --camvid FOLDER --out benchmarks/results/fine_tuning.json

What the JSON has already is not run again; fdam bench tables docs/fine_tuning.md writes the table.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS
from torch import nn

from fdam_mm import fdam_parameters
from fdam_mm.apis import train
from fdam_mm.benchmarking.machine import describe_machine, load_average
from fdam_mm.benchmarking.results import write_results
from fdam_mm.checkpoints import load, load_state
from fdam_mm.data.demo.demo_set import write_demo_set
from fdam_mm.files import require_writable

CONFIG = Path(__file__).resolve().parents[1] / "configs/demo/segformer_demo.py"
CAMVID_CLASSES = (
    *("sky", "building", "pole", "road", "pavement", "tree"),
    *("sign", "fence", "car", "pedestrian", "bicyclist"),
)
DAY, DUSK = ("0006R0", "0016E5"), ("0001TP",)
FDAM = {"model.backbone.fdam": dict(att_inv=True, freq_scale=True)}
WAYS: dict[str, dict[str, Any]] = {
    "full": {},
    "full with FDAM": FDAM,
    "FDAM and head": {**FDAM, "fine_tuning": dict(also="decode_head")},
    "FDAM alone": {**FDAM, "fine_tuning": dict()},
    "head": {"model.type": "FrozenBackboneSegmentor", "model.of": "mmseg.EncoderDecoder"},
    "LoRA and head": {"model.type": "LoRASegmentor"},
    "LoRA, FDAM and head": {"model.type": "LoRASegmentor", **FDAM},
}
COMPARED = ("full", "FDAM and head", "head")  # on both targets, and first


@MODELS.register_module()
def FrozenBackboneSegmentor(of: str, **settings: Any) -> nn.Module:  # noqa: N802
    """The segmentor ``of``, whose backbone is not trained."""
    model = MODELS.build(dict(type=of, **settings))
    model.backbone.requires_grad_(False)
    return model


@MODELS.register_module()
def LoRASegmentor(base: str, **settings: Any) -> nn.Module:  # noqa: N802
    """A segmentor from ``base`` of which LoRA, FDAM where there is some, and the head learn."""
    import peft

    model = MODELS.build(dict(type="mmseg.EncoderDecoder", **settings))
    state = load(base)["state_dict"]
    load_state(model, state, base, fit="finetune")
    model._is_init = True  # so that mmengine leaves its weights alone
    lora = peft.LoraConfig(r=4, lora_alpha=8, target_modules=r".*\.ffn\.layers\.[04]")
    peft.inject_adapter_in_model(lora, model.backbone)  # freezes all but its own
    if settings["backbone"].get("fdam"):
        for parameter in fdam_parameters(model):
            parameter.requires_grad_(True)
    return model


@HOOKS.register_module()
class StepClock(Hook):
    """CPU seconds of each step, and how many parameters it trains."""

    seconds: list[float] = []
    trained = total = 0

    def before_train(self, runner: Any) -> None:
        parameters = list(runner.model.parameters())
        StepClock.trained = sum(p.numel() for p in parameters if p.requires_grad)
        StepClock.total = sum(p.numel() for p in parameters)
        StepClock.seconds = []

    def before_train_iter(self, *_: Any, **__: Any) -> None:
        self.begin = time.process_time()

    def after_train_iter(self, *_: Any, **__: Any) -> None:
        StepClock.seconds.append(time.process_time() - self.begin)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--camvid", type=Path, required=True, help="images/ and annotations/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, help="keeps base and data for the next call")
    parser.add_argument("--base-steps", type=int, default=300)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--side", type=int, default=96, help="of the pictures that are trained")
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-4, 2e-3])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--runs", type=int, default=10**6, help="at most so many in this call")
    args = parser.parse_args()
    require_writable(args.out)
    torch.set_num_threads(1)
    work_dir = args.work_dir or Path(tempfile.mkdtemp())
    results = json.loads(args.out.read_text()) if args.out.exists() else {}
    results.setdefault("load", dict(before=load_average(), after=None))
    results.setdefault("cases", [])
    base = train_base(work_dir, args, results)
    for settings in wanted(args):
        done = [{key: case[key] for key in settings} for case in results["cases"]]
        if settings in done or args.runs == 0:
            continue
        args.runs -= 1
        case = {**settings, **fine_tune(work_dir, base, args, **settings)}
        print(case, flush=True)
        results["cases"].append(case)
        results["load"]["after"] = load_average()
        keep(args.out, results)


def wanted(args: argparse.Namespace) -> list[dict[str, Any]]:
    """What distinguishes the runs, seed by seed, those that are compared first."""
    rest = [way for way in WAYS if way not in COMPARED]
    return [
        dict(target=target, way=way, rate=rate, seed=seed)
        for seed in args.seeds
        for target, ways in (("camvid", COMPARED), ("demo", COMPARED), ("camvid", rest))
        for rate in args.rates
        for way in ways
    ]


def keep(out: Path, results: dict[str, Any]) -> None:
    command = " ".join(["python benchmarks/fine_tuning.py", *_generic(sys.argv[1:])])
    machine = describe_machine("cpu")
    write_results(out, results | dict(command=command, kind="trainings", machine=machine))


def _generic(arguments: list[str]) -> list[str]:
    """The command without folders of this machine and without what bounds a single call."""
    kept, skip = [], 0
    for number, argument in enumerate(arguments):
        if skip:
            skip -= 1
        elif argument in ("--work-dir", "--runs"):
            skip = 1
        elif argument == "--camvid":
            kept, skip = [*kept, "--camvid", "FOLDER"], 1
        elif argument == "--out":
            kept, skip = (
                [*kept, "--out", f"benchmarks/results/{Path(arguments[number + 1]).name}"],
                1,
            )
        else:
            kept.append(argument)
    return kept


def train_base(work_dir: Path, args: argparse.Namespace, results: dict[str, Any]) -> Path:
    """The plain model on the sequences in daylight."""
    file = work_dir / "base" / f"iter_{args.base_steps}.pth"
    if not file.exists():
        settings = camvid(args, work_dir, DAY, args.base_steps)
        run = train(CONFIG, work_dir / "base", **settings, **schedule(args.base_steps, 1e-3, 0))
        results["base"] = dict(steps=args.base_steps, miou=run.metrics[-1]["mIoU"])
        keep(args.out, results)
    return file


def fine_tune(
    work_dir: Path,
    base: Path,
    args: argparse.Namespace,
    target: str,
    way: str,
    rate: float,
    seed: int,
) -> dict[str, Any]:
    """What one training gives: its mIoU after the last step, parameters, time and sizes."""
    data = camvid(args, work_dir, DUSK, args.steps) if target == "camvid" else demo(args, work_dir)
    start = {"model.base" if "LoRA" in way else "load_from": str(base)}
    settings = {**data, **schedule(args.steps, rate, seed), **WAYS[way], **start}
    with tempfile.TemporaryDirectory(dir=work_dir) as folder:
        run = train(CONFIG, Path(folder) / "run", **settings)
        delta = run.work_dir / "delta.safetensors"
        return dict(
            miou=run.metrics[-1]["mIoU"],
            trained=StepClock.trained,
            parameters=StepClock.total,
            step_ms=round(1e3 * statistics.median(StepClock.seconds[5:]), 1),
            delta_bytes=delta.stat().st_size if delta.exists() else None,
        )


def schedule(steps: int, rate: float, seed: int) -> dict[str, Any]:
    """A linear start and a linear end; one validation, after the last step."""
    warm = max(1, steps // 12)
    return {
        "train_cfg.max_iters": steps,
        "train_cfg.val_interval": steps,
        "optim_wrapper.optimizer.lr": rate,
        "optim_wrapper.paramwise_cfg": dict(freq_scale_lr_mult=10),
        "param_scheduler": [
            dict(type="LinearLR", start_factor=1e-2, by_epoch=False, begin=0, end=warm),
            dict(type="PolyLR", eta_min=0.0, power=1.0, by_epoch=False, begin=warm, end=steps),
        ],
        "default_hooks.checkpoint.interval": steps,
        "custom_hooks": [dict(type="StepClock")],
        "randomness.seed": seed,
        "log_level": "WARNING",
    }


def camvid(
    args: argparse.Namespace, work_dir: Path, sequences: tuple[str, ...], steps: int
) -> dict[str, Any]:
    """Half-size pictures of some sequences; dusk is tested on dusk, daylight on val."""
    lists = work_dir / "lists"
    lists.mkdir(parents=True, exist_ok=True)
    tested = "test" if sequences == DUSK else "val"
    files = {}
    for split in ("train", tested):
        names = sorted(p.stem for p in (args.camvid / "images" / split).glob("*.jpg"))
        chosen = [name for name in names if name.startswith(sequences)]
        files[split] = lists / f"{split}_{sequences[0]}.txt"
        files[split].write_text("\n".join(chosen))
    read = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", reduce_zero_label=False)]
    resize = dict(type="Resize", scale=(240, 180), keep_ratio=True)
    crop = dict(type="RandomCrop", crop_size=(args.side, args.side), cat_max_ratio=0.75)
    augment = [crop, dict(type="RandomFlip", prob=0.5), dict(type="PhotoMetricDistortion")]
    pack = dict(type="PackSegInputs")
    test_pipeline = [
        read[0],
        dict(type="Resize", scale=(240, 180), keep_ratio=True),
        read[1],
        pack,
    ]
    common = dict(
        type="BaseSegDataset", data_root=str(args.camvid.resolve()), reduce_zero_label=False,
        metainfo=dict(classes=CAMVID_CLASSES, palette=[[20 * i] * 3 for i in range(11)]),
    )  # fmt: skip

    def dataset(split: str, pipeline: list[dict[str, Any]]) -> dict[str, Any]:
        prefix = dict(img_path=f"images/{split}", seg_map_path=f"annotations/{split}")
        file = str(files[split].resolve())
        return dict(common, ann_file=file, data_prefix=prefix, pipeline=pipeline, _delete_=True)

    return loaders(
        dataset("train", [*read, resize, *augment, pack]), dataset(tested, test_pipeline)
    ) | {
        "model.data_preprocessor.size": (args.side, args.side),
        "model.decode_head.num_classes": len(CAMVID_CLASSES),
    }


def demo(args: argparse.Namespace, work_dir: Path) -> dict[str, Any]:
    """The textures of ``fdam data demo``."""
    root = work_dir / "demo"
    if not root.exists():
        write_demo_set(root, num_train=256, num_val=32, size=args.side)
    size = {"model.data_preprocessor.size": (args.side, args.side)}
    return {**loaders({}, {}), **size, "data_root": str(root)}


def loaders(train_set: dict[str, Any], test_set: dict[str, Any]) -> dict[str, Any]:
    here = dict(num_workers=0, persistent_workers=False)
    settings: dict[str, Any] = {
        "train_dataloader": dict(batch_size=4, **here),
        "val_dataloader": dict(batch_size=1, **here),
        "test_dataloader": dict(batch_size=1, **here),
    }
    if train_set:
        settings["train_dataloader"]["dataset"] = train_set
        settings["val_dataloader"]["dataset"] = test_set
        settings["test_dataloader"]["dataset"] = test_set
    return settings


if __name__ == "__main__":
    main()
