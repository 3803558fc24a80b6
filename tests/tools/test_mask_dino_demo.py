"""The demo's Mask DINO, shortened: training with evaluation, and pictures."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.tools import losses, metric, succeed

from fdam_mm.data.demo.demo_set import write_demo_set

CONFIG = "configs/demo/fdam-mask-dino_demo.py"
METRICS = ("coco/bbox_mAP", "coco/segm_mAP", "coco_panoptic/PQ")


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("data") / "demo"
    write_demo_set(root, num_train=6, num_val=3, size=64, layout="coco")
    loaders = [
        f"{name}_dataloader.{setting}"
        for name in ("train", "val", "test")
        for setting in ("num_workers=0", "persistent_workers=False")
    ]
    return ["--cfg-options", f"data_root={root}", *loaders, "visualizer.min_side=64"]


def test_trains_evaluates_and_draws(tmp_path: Path, options: list[str]) -> None:
    short = ["train_cfg.max_iters=4", "train_cfg.val_interval=4"]
    short += ["default_hooks.logger.interval=1", "default_hooks.checkpoint.interval=4"]
    # all at the warm-up's start, a hundredth of the rate: enough to fall, in four steps
    short += ["param_scheduler.0.end=1", "optim_wrapper.optimizer.lr=1e-2"]
    short += ["log_processor.window_size=1"]
    succeed("train.py", CONFIG, "--work-dir", "run", *options, *short, cwd=tmp_path)
    curve = losses(tmp_path / "run")
    assert len(curve) == 4 and np.isfinite(curve).all() and curve[-1] < curve[0]
    (scalars,) = (tmp_path / "run").glob("*/vis_data/scalars.json")
    validated = json.loads(scalars.read_text().splitlines()[-1])

    arguments = [CONFIG, "run/iter_4.pth", "--work-dir", "out", "--show-dir", "pictures"]
    succeed("test.py", *arguments, *options, cwd=tmp_path)
    for name in METRICS:
        assert metric(tmp_path / "out", name) == pytest.approx(validated[name])
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert [picture.name for picture in pictures] == [f"{n:012d}.jpg" for n in (1, 2, 3)]
    assert cv2.imread(str(pictures[0])).shape == (64, 4 * 64, 3)
