"""Evaluate a checkpoint: one of ours, of the released FDAM models, or of the toolkit's twin."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from fdam_mm.apis.deltas import load_with_delta
from fdam_mm.apis.sources import open_source, require_weights
from fdam_mm.checkpoints.delta import read_delta
from fdam_mm.checkpoints.loading import allowing_pickle
from fdam_mm.data.loading.unlabelled import find_files
from fdam_mm.errors import UsageError
from fdam_mm.files import require_folder, require_writable
from fdam_mm.oriented.pipelines import unlabelled
from fdam_mm.test_time.config import augment
from fdam_mm.toolkits.scope import scope_of, toolkit_scope
from fdam_mm.training.building import build_runner
from fdam_mm.training.config import require_data, require_parts
from fdam_mm.training.teardown import end_together
from fdam_mm.training.unwrapping import bare_model

from .arguments import add_delta_argument, add_run_arguments, parser
from .errors import clear_errors
from .run_config import run_config


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    arguments = parser(
        __doc__,
        "COMMAND configs/deit3/fdam-deit3-b16_upernet_4xb4-160k_ade20k-512x512.py "
        "fdam_deit3_b.pth --show-dir work_dirs/pictures",
    )
    add_run_arguments(arguments)
    arguments.add_argument(
        "checkpoint", nargs="?",
        help="file, foreign layouts are converted; needed with a config file, a folder or "
        "hf://USER/MODEL in its place has its own",
    )  # fmt: skip
    add_delta_argument(arguments)
    arguments.add_argument(
        "--out",
        help="write predictions: a folder (mmseg), a .npz file (mmrotate; for dota_submit.py) or "
        "a .pkl file",
    )
    arguments.add_argument(
        "--images",
        metavar="FOLDER",
        help="predict the unlabelled pictures of this folder and measure nothing (with --out or "
        "--show-dir)",
    )
    arguments.add_argument(
        "--show-dir", help="write pictures of the predictions (of the first process)"
    )
    arguments.add_argument("--tta", action="store_true", help="test-time augmentation")
    args = arguments.parse_args(argv)
    require_weights(args.config, args.checkpoint or args.delta)
    source = open_source(args.config, args.checkpoint, args.cfg_options, not args.delta)
    config = run_config(args, source.config)
    base = source.checkpoint or config.get("load_from")
    config.load_from, config.resume = None if args.delta else str(base), False
    require_parts(config, "model", "test_dataloader", "test_cfg", "test_evaluator")
    if args.tta:
        augment(config)
    if args.images:
        predict_only(config, args.images, args.out, args.show_dir)
    if args.out:
        save_predictions(config, args.out)
    if not args.images:
        require_data(config, "test")
    if args.show_dir:
        require_folder(args.show_dir, "--show-dir")
        require_visualization(config)
        save_pictures(config, args.show_dir)
    if args.amp:
        config.test_cfg.fp16 = True
    allow_pickle = config.get("allow_pickle", False)
    with allowing_pickle(allow_pickle):
        runner = build_runner(config)
        if args.delta:
            model = bare_model(runner.model)
            load_with_delta(model, config, base, read_delta(args.delta), allow_pickle)
        runner.test()
    end_together()


def predict_only(config: Config, folder: str, out: str | None, show_dir: str | None) -> None:
    """Read pictures without labels, and leave nothing to measure.

    Raises:
        UsageError: Nothing would come of it.
        LayoutError: The folder has no pictures, or two of one name.
    """
    if not (out or show_dir):
        raise UsageError("--images needs --out or --show-dir, for there is nothing to measure")
    find_files(Path(folder))
    loader = config.test_dataloader
    labelled: Any = first_dataset(loader.dataset)
    with toolkit_scope(scope_of(config)):
        pipeline = unlabelled(labelled.pipeline)
    loader.dataset = dict(
        type="UnlabelledPictures",
        folder=str(Path(folder).absolute()),
        of=labelled,
        pipeline=pipeline,
    )
    if config.default_scope == "mmseg":
        config.test_evaluator = dict(type="IoUMetric", format_only=True) if out else []
    else:
        config.test_evaluator = []


def first_dataset(settings: dict[str, Any]) -> dict[str, Any]:
    """The data set inside ConcatDataset and the like."""
    while "dataset" in settings or "datasets" in settings:
        settings = settings["dataset"] if "dataset" in settings else settings["datasets"][0]
    return settings


def save_predictions(config: Config, out: str) -> None:
    if config.default_scope == "mmseg":
        require_folder(out, "--out")
        require_one_evaluator(config)
        config.test_evaluator.update(output_dir=out, keep_results=True)
        return
    require_writable(out)
    if out.endswith(".npz"):
        if config.default_scope != "mmrotate":
            raise UsageError(f"--out {out}: .npz holds rotated boxes alone; name it .pkl")
        save = dict(type="SaveOrientedResults", out_file=out)
    else:
        save = dict(type="mmdet.DumpDetResults", out_file_path=out)
    evaluators = config.test_evaluator
    evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
    config.test_evaluator = [*evaluators, save]


def save_pictures(config: Config, folder: str) -> None:
    hook = config.default_hooks.visualization
    hook.draw = True
    if config.default_scope == "mmseg":
        config.visualizer.save_dir = folder
    else:
        # mmdet joins a relative folder to its work folder, again with every batch.
        hook.test_out_dir = str(Path(folder).absolute())


def require_one_evaluator(config: Config) -> None:
    """It is what writes the labels; a list of one is as good.

    Raises:
        UsageError: The config has several, or none.
    """
    evaluators = config.test_evaluator
    if not isinstance(evaluators, list):
        return
    if len(evaluators) != 1:
        raise UsageError(
            f"--out needs one test_evaluator to write the labels, the config has "
            f"{len(evaluators)}; leave the IoUMetric alone"
        )
    config.test_evaluator = evaluators[0]


def require_visualization(config: Config) -> None:
    """See that there is what draws.

    Raises:
        UsageError: The config lacks the hook or the visualizer.
    """
    missing = [] if config.get("visualizer") else ["visualizer"]
    if not (config.get("default_hooks") or {}).get("visualization"):
        missing.append("default_hooks.visualization")
    if missing:
        raise UsageError(
            f"--show-dir needs {' and '.join(missing)} in the config; the toolkit's "
            "_base_ configs show them"
        )
