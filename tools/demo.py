#!/usr/bin/env python
"""Draw a small labelled set, train a small FDAM segmentor on it, evaluate it and show pictures.

Everything goes through the ordinary tools: make_demo_set.py, train.py and test.py.
"""

import json
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from tqdm import tqdm

from fdam_mm.engine.launch import (
    add_config_arguments,
    clear_errors,
    parser,
    read_config,
    register_toolkit,
)

TOOLS = Path(__file__).resolve().parent
CONFIG = "configs/demo/fdam-vit_demo.py"
ITERATION = re.compile(r"Iter\(train\) +\[ *(\d+)/\d+\].*? loss: ([\d.]+)")


@clear_errors
def main() -> None:
    arguments = parser(__doc__, "tools/demo.py configs/demo/vit_demo.py")
    add_config_arguments(arguments)
    arguments.set_defaults(config=CONFIG)
    arguments._actions[1].nargs = "?"
    args = arguments.parse_args()
    config = read_config(args.config, args.cfg_options)
    folder = Path("work_dirs/demo") / time.strftime("%Y%m%d_%H%M%S")
    folder.mkdir(parents=True)
    options = [f"{k}={v}" for k, v in args.cfg_options.items()]
    overrides = ["--cfg-options", *options] if options else []

    print("1/4  drawing the demo set")
    run("make_demo_set.py", config.data_root, log=folder / "data.log")
    print("2/4  scoring the untrained model")
    untrained = score(args.config, save_untrained(config, folder), folder, overrides)
    print(f"3/4  training {args.config}")
    train(args.config, folder / "train", config.train_cfg.max_iters, overrides)
    checkpoint = (folder / "train" / "last_checkpoint").read_text()
    print("4/4  evaluating")
    trained = score(args.config, checkpoint, folder, [*overrides, "--out", str(folder / "labels")])
    pictures = draw_pictures(config, folder)
    print(
        f"\nmIoU {trained:.1f} on {len(pictures)} pictures it never saw (the same model untrained "
        f"{untrained:.1f}, guessing {chance(config):.1f}); pictures {folder / 'pictures'}, "
        f"model {checkpoint}, logs {folder}"
    )


def run(tool: str, *arguments: str, log: Path) -> None:
    """Run a tool with its output in ``log``; end with the log's last lines if it fails."""
    with log.open("a") as file:
        command = [sys.executable, str(TOOLS / tool), *arguments]
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT).returncode
    if code:
        fail(tool, log)


def fail(tool: str, log: Path) -> None:
    print("".join(log.read_text().splitlines(keepends=True)[-15:]), file=sys.stderr)
    sys.exit(f"{tool} failed; its whole output: {log}")


def save_untrained(config: Config, folder: Path) -> str:
    """Save the model as training would start it; returns the file."""
    MMLogger.get_instance("demo", log_level="WARNING")  # no list of every parameter
    init_default_scope(config.default_scope)
    register_toolkit(config.default_scope)
    torch.manual_seed(config.randomness.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the toolkit
        model = MODELS.build(config.model)
    model.init_weights()
    file = folder / "untrained.pth"
    torch.save(dict(state_dict=model.state_dict()), file)
    return str(file)


def score(config: str, checkpoint: str, folder: Path, arguments: list[str]) -> float:
    """mIoU in percent, by tools/test.py."""
    out = folder / f"test_{Path(checkpoint).stem}"
    run("test.py", config, checkpoint, "--work-dir", str(out), *arguments, log=folder / "test.log")
    (metrics,) = out.glob("*/*.json")
    return json.loads(metrics.read_text())["mIoU"]


def train(config: str, folder: Path, max_iters: int, arguments: list[str]) -> None:
    """Run tools/train.py into ``folder``, with its log beside it and a progress bar here."""
    command = [sys.executable, str(TOOLS / "train.py"), config, "--work-dir", str(folder)]
    log = folder.with_suffix(".log")
    with log.open("w") as file, tqdm(total=max_iters, unit="iteration") as bar:
        process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in process.stdout:
            file.write(line)
            if found := ITERATION.search(line):
                bar.set_postfix(loss=found[2], refresh=False)
                bar.update(int(found[1]) - bar.n)
    if process.wait():
        fail("train.py", log)


def draw_pictures(config: Config, folder: Path) -> list[Path]:
    """Write input, truth and prediction side by side for every validation picture."""
    data = config.val_dataloader.dataset
    images = Path(data.data_root) / data.data_prefix.img_path
    labels = Path(data.data_root) / data.data_prefix.seg_map_path
    palette = np.array([[0, 0, 0], *data.metainfo.palette], np.uint8)[:, ::-1]  # BGR, 0 unlabelled
    (folder / "pictures").mkdir()
    written = []
    for image in sorted(images.iterdir()):
        parts = [cv2.imread(str(image))]
        for source in (labels, folder / "labels"):
            parts.append(
                palette[cv2.imread(str(source / f"{image.stem}.png"), cv2.IMREAD_GRAYSCALE)]
            )
        panel = np.concatenate(parts, axis=1)
        panel = cv2.resize(panel, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        written.append(folder / "pictures" / f"{image.stem}_input_truth_prediction.png")
        cv2.imwrite(str(written[-1]), panel)
    return written


def chance(config: Config) -> float:
    """mIoU in percent of guessing each pixel's class uniformly."""
    data = config.val_dataloader.dataset
    files = sorted((Path(data.data_root) / data.data_prefix.seg_map_path).iterdir())
    labels = np.concatenate([cv2.imread(str(f), cv2.IMREAD_GRAYSCALE).ravel() for f in files])
    share = np.bincount(labels, minlength=len(data.metainfo.classes) + 1)[1:] / len(labels)
    guess = 1 / len(share)
    return 100 * float(np.mean(share * guess / (share + guess - share * guess)))


if __name__ == "__main__":
    main()
