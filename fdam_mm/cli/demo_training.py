"""Draw a small labelled set, train a small FDAM model on it, evaluate it and show pictures.

The config decides the task: regions, boxes and masks, or rotated boxes; its demo_set holds options
of ``fdam data demo``. Everything goes through the ordinary commands: that one, train and test.
"""

import json
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from tqdm import tqdm

from fdam_mm.apis.building import build_model
from fdam_mm.checkpoints.loading import allowing_pickle
from fdam_mm.data.pictures.labels import read_label_map
from fdam_mm.data.pictures.rows import read_pixels
from fdam_mm.errors import UsageError
from fdam_mm.files import atomic_file, write_atomically
from fdam_mm.training.config import read_config
from fdam_mm.training.work_dir import newest_step
from fdam_mm.visualization.colours import with_palette

from .arguments import add_config_arguments, parser
from .errors import clear_errors

FDAM = [sys.executable, "-m", "fdam_mm.cli.main"]
ITERATION = re.compile(r"Iter\(train\) +\[ *(\d+)/\d+\].*? loss: ([\d.]+)")
# Key in the evaluation's log: name to show, factor to percent.
METRICS = {
    "mIoU": ("mIoU", 1),
    "coco/bbox_mAP": ("box AP", 100),
    "coco/segm_mAP": ("mask AP", 100),
    "coco_panoptic/PQ": ("PQ", 1),
    "dota/AP50": ("AP50", 100),
}


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    arguments = parser(__doc__, "COMMAND configs/demo/vit_demo.py")
    add_config_arguments(arguments, default="configs/demo/fdam-vit_demo.py")
    args = arguments.parse_args(argv)
    config = read_config(args.config, args.cfg_options)
    if not config.get("demo_set"):
        raise UsageError(f"{args.config} has no demo_set; take one of configs/demo/")
    folder = Path("work_dirs/demo") / time.strftime("%Y%m%d_%H%M%S")
    folder.mkdir(parents=True)
    options = [f"{key}={value!r}" for key, value in args.cfg_options.items()]
    overrides = ["--cfg-options", *options] if options else []

    print("1/4  drawing the demo set")
    settings = [f"--{name}={value}" for name, value in config.demo_set.items()]
    run("data demo", config.data_root, *settings, log=folder / "data.log")
    print("2/4  scoring the untrained model")
    untrained = score(args.config, save_untrained(config, folder), folder, overrides)
    print(f"3/4  training {args.config}")
    train(args.config, folder / "train", config.train_cfg.max_iters, overrides)
    checkpoint = str(newest_step(folder / "train"))
    print("4/4  evaluating")
    pictures = folder / "pictures"
    if config.default_scope == "mmseg":
        labels = folder / "labels"
        trained = score(args.config, checkpoint, folder, [*overrides, "--out", str(labels)])
        draw_pictures(config, labels, pictures)
        guessing = f", guessing {chance(config):.1f}"
    else:
        trained = score(args.config, checkpoint, folder, [*overrides, "--show-dir", str(pictures)])
        guessing = ""
    print(
        f"\n{in_words(trained)} on {len(list(pictures.iterdir()))} pictures it never saw "
        f"(the same model untrained: {in_words(untrained)}{guessing})\n"
        f"pictures {pictures}, model {checkpoint}, logs {folder}"
    )


def in_words(scores: dict[str, float]) -> str:
    """The scores that there are, in percent."""
    return ", ".join(
        f"{name} {scores[key] * factor:.1f}"
        for key, (name, factor) in METRICS.items()
        if key in scores
    )


def run(command: str, *arguments: str, log: Path) -> None:
    """Run a command with its output in ``log``; end with the log's last lines if it fails."""
    with log.open("a") as file:
        words = [*FDAM, *command.split(), *arguments]
        code = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT).returncode
    if code:
        fail(command, log)


def fail(command: str, log: Path) -> NoReturn:
    print("".join(log.read_text().splitlines(keepends=True)[-15:]), file=sys.stderr)
    sys.exit(f"fdam {command} failed; its whole output: {log}")


def save_untrained(config: Config, folder: Path) -> str:
    """Save the model as training would start it; returns the file."""
    MMLogger.get_instance("demo", log_level="WARNING")  # no list of every parameter
    torch.manual_seed(config.randomness.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the toolkit
        model: Any = build_model(config)
    with allowing_pickle(config.get("allow_pickle", False)):
        model.init_weights()
    file = folder / "untrained.pth"
    with atomic_file(file) as opened:
        torch.save(dict(state_dict=model.state_dict()), opened)
    return str(file)


def score(config: str, checkpoint: str, folder: Path, arguments: list[str]) -> dict[str, float]:
    """All metrics, by ``fdam test``."""
    out = folder / f"test_{Path(checkpoint).stem}"
    run("test", config, checkpoint, "--work-dir", str(out), *arguments, log=folder / "test.log")
    (metrics,) = out.glob("*/*.json")
    return json.loads(metrics.read_text())


def train(config: str, folder: Path, max_iters: int, arguments: list[str]) -> None:
    """Run ``fdam train`` into ``folder``, with its log beside it and a progress bar here."""
    command = [*FDAM, "train", config, "--work-dir", str(folder)]
    log = folder.with_suffix(".log")
    with log.open("w") as file, tqdm(total=max_iters, unit="iteration") as bar:
        process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in process.stdout or ():
            file.write(line)
            if found := ITERATION.search(line):
                bar.set_postfix(loss=found[2], refresh=False)
                bar.update(int(found[1]) - bar.n)
    if process.wait():
        fail("train", log)


def draw_pictures(config: Config, predicted: Path, folder: Path) -> None:
    """Write input, truth and prediction side by side for every validation picture."""
    data = config.val_dataloader.dataset
    images = Path(data.data_root) / data.data_prefix.img_path
    labels = Path(data.data_root) / data.data_prefix.seg_map_path
    colours = with_palette(data.metainfo)["palette"]
    palette = np.array([[0, 0, 0], *colours], np.uint8)[:, ::-1]  # BGR, 0 unlabelled
    folder.mkdir()
    for image in sorted(images.iterdir()):
        parts = [read_pixels(image)]
        for source in (labels, predicted):
            parts.append(palette[read_label_map(source / f"{image.stem}.png")])
        panel = np.concatenate(parts, axis=1)
        panel = cv2.resize(panel, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        file = folder / f"{image.stem}_input_truth_prediction.png"
        write_atomically(file, cv2.imencode(".png", panel)[1].tobytes())


def chance(config: Config) -> float:
    """mIoU in percent of guessing each pixel's class uniformly."""
    data = config.val_dataloader.dataset
    files = sorted((Path(data.data_root) / data.data_prefix.seg_map_path).iterdir())
    labels = np.concatenate([read_label_map(file).ravel() for file in files])
    share = np.bincount(labels, minlength=len(data.metainfo.classes) + 1)[1:] / len(labels)
    guess = 1 / len(share)
    return 100 * float(np.mean(share * guess / (share + guess - share * guess)))
