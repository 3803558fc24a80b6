"""Time a training step of every variant of the study, interleaved: the tables' times.

Forward, losses, backward and AdamW on made-up pictures of the training's size; figures are of the
process's CPU time, or of CUDA events. Started again with the same file, it goes on.

examples:
  python benchmarks/study/step_times.py
  python benchmarks/study/step_times.py --large --results RESULTS    on a GPU
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import rivals  # noqa: F401  registers the rivals
import torch
from mmengine.model import revert_sync_batchnorm
from scores import RESULTS, STEP_TIMES
from setups import SETUPS

import fdam_mm.openmmlab  # noqa: F401
from fdam_mm.apis.building import build_model
from fdam_mm.benchmarking.models import Batch, Step, training_step
from fdam_mm.benchmarking.results import Cases, Measurement, measure_each
from fdam_mm.benchmarking.samples import make_batch
from fdam_mm.benchmarking.timing import measure, summarise
from fdam_mm.files import require_writable
from fdam_mm.training.config import read_config


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--large", action="store_true", help="larger models, which want a GPU")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of the runs' results"
    )
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)  # as in a run of the study
    out = args.results / STEP_TIMES
    require_writable(out)
    command = f"benchmarks/study/step_times.py --rounds {args.rounds}" + args.large * " --large"
    measurements = [
        Measurement(dict(setup=name), partial(time_variants, name, args.rounds, device))
        for name, setup in SETUPS.items()
        if setup.large == args.large
    ]
    measure_each(measurements, command, device, out, kind="study")


def time_variants(name: str, rounds: int, device: str) -> Cases:
    """Milliseconds of each variant's step, and their ratio to the plain model's."""
    steps = {variant: step_of(name, variant, device) for variant in SETUPS[name].variants}
    return [dict(setup=name, variants=summarise(measure(steps, rounds, device)))]


def step_of(name: str, variant: str, device: str) -> Step:
    setup = SETUPS[name]
    config = read_config(str(setup.config), dict(setup.variants[variant]))
    torch.manual_seed(0)
    model: Any = revert_sync_batchnorm(build_model(config)).to(device)
    shape = config.model.data_preprocessor.get("size", setup.shape)
    scope = "mmrotate" if setup.data == "rotated" else "mmseg"
    batch: Batch = make_batch(scope, model, config.train_dataloader.batch_size, shape, device)
    return training_step(model, batch)


if __name__ == "__main__":
    main()
