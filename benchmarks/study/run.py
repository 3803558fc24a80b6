"""Does FDAM help? Small trainings under control, one JSON for each, resumable run by run.

Runs of one seed see the same pictures in the same order and start from the same weights in what
they share: those of the plain model, drawn from the seed; only the wider models draw their own. A
run whose JSON exists is not run again, one that was stopped goes on, and what another process
works on is left to it, so that a second process may be started beside the first.

examples:
  python benchmarks/study/run.py --list
  python benchmarks/study/run.py --camvid FOLDER
  python benchmarks/study/run.py --camvid FOLDER --only 'vit_camvid/*' --minutes 60
  python benchmarks/study/run.py --camvid FOLDER --large --seeds 10 --results RESULTS    on a GPU
  python benchmarks/study/tables.py docs/study.md     tables and plots of what there is
"""

import argparse
import fcntl
import json
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rivals  # noqa: F401  registers the rivals
import torch
from measure import measure_run
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import set_random_seed
from scores import RESULTS
from setups import SETUPS, Overrides, Planned, Setup, planned

import fdam_mm.openmmlab  # noqa: F401
from fdam_mm.apis import train
from fdam_mm.apis.building import build_model
from fdam_mm.benchmarking.machine import describe_machine, load_average
from fdam_mm.data.demo.demo_set import write_demo_set
from fdam_mm.files import write_atomically
from fdam_mm.training.config import read_config

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@HOOKS.register_module()
class SameStart(Hook):
    """Draws after the model is built do not depend on the model.

    Args:
        seed: Of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train(self, _: Any) -> None:
        random.seed(self.seed)
        np.random.seed(self.seed)
        torch.manual_seed(self.seed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--camvid", type=Path, help="images/ and annotations/ of train, val, test")
    parser.add_argument("--only", default="*", help="runs whose name fits this pattern")
    parser.add_argument(
        "--seeds", type=int, help="of each variant; default 5 of the main rows, fewer of others"
    )
    parser.add_argument("--large", action="store_true", help="larger models, which want a GPU")
    parser.add_argument("--minutes", type=float, help="start no run after this time")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/study"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--list", action="store_true", help="what is done and what is not")
    args = parser.parse_args()
    runs = list(planned(args.only, args.seeds, args.large))
    if not runs:
        parser.error(f"--only {args.only} fits no run; --list shows all")
    if args.list:
        for run in runs:
            print("done " if result_file(args.results, run).exists() else "     ", run.name)
        return
    needs_camvid = any(SETUPS[run.setup].data == "camvid" for run in runs)
    if needs_camvid and args.camvid is None:
        parser.error("runs on CamVid need --camvid FOLDER")
    torch.set_num_threads(1)  # two runs at a time do more on two cores than one on both
    deadline = time.monotonic() + 60 * (args.minutes or float("inf"))
    for run in runs:
        if time.monotonic() < deadline:
            run_once(run, args.work_dir, args.results, args.camvid)


def result_file(results: Path, run: Planned) -> Path:
    return results / f"{run.name}.json"


def run_once(run: Planned, work_dir: Path, results: Path, camvid: Path | None) -> None:
    """Train, measure and write the JSON; nothing where it is done or another process is at it."""
    out = result_file(results, run)
    folder = work_dir / run.name
    with claim(folder) as ours:
        if not ours or out.exists():
            return
        print(run.name, flush=True)
        setup = SETUPS[run.setup]
        before = load_average()
        settings = settings_of(run, data_settings(setup, work_dir, camvid))
        start = start_weights(setup, settings, work_dir / f"starts/{run.setup}-{run.seed}.pth")
        variant = setup.variants[run.variant]
        if "model.backbone.embed_dims" not in variant:
            settings["load_from"] = str(start)
        done = train(setup.config, folder / "run", resume=True, **settings, **variant)
        found = dict(
            setup=run.setup,
            variant=run.variant,
            seed=run.seed,
            steps=setup.steps,
            **measure_run(setup, done, DEVICE),
            machine=describe_machine(DEVICE),
            load=dict(before=before, after=load_average()),
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, as_json(found))
        shutil.rmtree(folder / "run")


def as_json(found: dict[str, Any]) -> str:
    """A line for each key: the counts of pixels would be thousands of lines."""
    return (
        "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items()) + "\n}\n"
    )


@contextmanager
def claim(folder: Path) -> Iterator[bool]:
    """Whether this process alone has the run, for as long as it works on it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def settings_of(run: Planned, data: Overrides) -> Overrides:
    """What all variants of a setup and a seed share."""
    setup = SETUPS[run.setup]
    warm = max(1, setup.steps // 12)
    settings = {
        "train_cfg.max_iters": setup.steps,
        "train_cfg.val_interval": setup.steps // 4,
        "optim_wrapper.optimizer.lr": setup.rate,
        "param_scheduler": [
            dict(type="LinearLR", start_factor=1e-2, by_epoch=False, begin=0, end=warm),
            dict(
                type="PolyLR", eta_min=0.0, power=1.0, by_epoch=False, begin=warm, end=setup.steps
            ),
        ],
        "default_hooks.checkpoint.interval": setup.steps // 20,
        "default_hooks.checkpoint.max_keep_ckpts": 1,
        "custom_hooks": [dict(type="SameStart", seed=run.seed)],
        "randomness.seed": run.seed,
        "log_level": "WARNING",
        **data,
    }
    if setup.data != "rotated":
        settings["default_hooks.checkpoint.save_best"] = "mIoU"
        settings["default_hooks.checkpoint.rule"] = "greater"
    return settings


def data_settings(setup: Setup, work_dir: Path, camvid: Path | None) -> Overrides:
    """Where the pictures are; the generated sets are drawn once."""
    if setup.data == "camvid":
        assert camvid is not None
        return {"data_root": str(camvid.resolve())}
    root = work_dir / setup.data
    with claim(work_dir / f"{setup.data}.lock"):
        if setup.data == "textures":  # to choose on; to test on: others
            write_demo_set(root, num_train=1024, num_val=96, size=64)
            write_demo_set(work_dir / "textures_test", num_train=1, num_val=384, size=64, seed=1)
        else:
            write_demo_set(root, num_train=400, num_val=96, layout="dota")
    return {"data_root": str(root.resolve())}


def start_weights(setup: Setup, settings: Overrides, file: Path) -> Path:
    """The plain model's, drawn from the seed."""
    if not file.exists():
        set_random_seed(settings["randomness.seed"])
        model = build_model(read_config(str(setup.config), settings))
        model.init_weights()
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{time.monotonic_ns()}")
        torch.save(dict(state_dict=model.state_dict()), partial)
        partial.replace(file)
    return file


if __name__ == "__main__":
    main()
