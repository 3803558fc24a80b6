"""Train a model from a config."""

import os
from collections.abc import Sequence
from contextlib import nullcontext

from fdam_mm.checkpoints.loading import allowing_pickle
from fdam_mm.training.backends import BACKENDS, add_backend
from fdam_mm.training.building import build_runner
from fdam_mm.training.config import (
    read_config,
    refuse_overwriting,
    require_data,
    require_parts,
)
from fdam_mm.training.learning_rate import enable_auto_scale_lr
from fdam_mm.training.precision import enable_amp
from fdam_mm.training.sole_training import sole_training
from fdam_mm.training.teardown import end_together

from .arguments import add_run_arguments, parser
from .errors import clear_errors
from .run_config import run_config


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    arguments = parser(__doc__, "COMMAND configs/demo/fdam-vit_demo.py --work-dir work_dirs/my")
    add_run_arguments(arguments)
    arguments.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="go on from the newest checkpoint of the work folder, or from this one; without any, "
        "start, so that a job that is queued again can always say it",
    )
    arguments.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="learning rate x total batch / the config's auto_scale_lr.base_batch_size",
    )
    for name in BACKENDS:
        arguments.add_argument(
            f"--{name}", action="store_true", help=f"also log to {name} (pip install {name})"
        )
    args = arguments.parse_args(argv)
    config = run_config(args, read_config(args.config, args.cfg_options))
    for name in BACKENDS:
        if getattr(args, name):
            add_backend(config, name)
    if args.resume == "auto":
        config.resume = "auto"
    elif args.resume:
        config.resume, config.load_from = True, args.resume
    require_parts(config, "model", "train_dataloader", "train_cfg", "optim_wrapper")
    require_data(config, "train", "val")
    if args.amp:
        enable_amp(config)
    if args.auto_scale_lr:
        enable_auto_scale_lr(config)
    first = os.environ.get("RANK", "0") == "0"  # of a distributed training
    with sole_training(config.work_dir) if first else nullcontext():
        refuse_overwriting(config)
        with allowing_pickle(config.get("allow_pickle", False)):
            build_runner(config).train()
    end_together()
