"""Logs, configs and pictures of a run."""

import json
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.visualization import LocalVisBackend
from PIL import Image
from support.toy import toy_runner

from fdam_mm.training.atomic_vis import AtomicVisBackend, atomic_backends


def test_writes_what_mmengines_writes(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)
    config = Config(dict(a=1, b=dict(c="x")))
    for kind, name in ((LocalVisBackend, "theirs"), (AtomicVisBackend, "ours")):
        backend = kind(save_dir=str(tmp_path / name))
        backend.add_config(config)
        backend.add_image("cat", image, 3)
        backend.add_scalar("loss", 0.5, 1)
        backend.add_scalars(dict(acc=1.0, n=np.float32(2)), 2, "run.json")
    for file in (tmp_path / "theirs").rglob("*.*"):
        ours = tmp_path / "ours" / file.relative_to(tmp_path / "theirs")
        if file.suffix == ".png":
            np.testing.assert_array_equal(np.array(Image.open(ours)), image)
        else:
            assert ours.read_text() == file.read_text()


def test_every_runner_has_it(tmp_path: Path) -> None:
    plain = toy_runner(tmp_path / "a").visualizer
    own = dict(type="Visualizer", vis_backends=[dict(type="mmengine.LocalVisBackend")])
    configured = toy_runner(tmp_path / "b", visualizer=own).visualizer
    for visualizer in (plain, configured):
        assert type(visualizer.get_backend("LocalVisBackend")) is AtomicVisBackend
    others = dict(vis_backends=[dict(type="TensorboardVisBackend")])
    assert atomic_backends(others) == others


def test_a_test_leaves_the_config_of_the_training(tmp_path: Path) -> None:
    (tmp_path / "c.py").write_text("a = 1\n")
    for number in (1, 2):
        config = Config.fromfile(tmp_path / "c.py")
        config.a = number
        runner = toy_runner(tmp_path / "run", 1, cfg=config)  # as a test does
        assert Config.fromfile(tmp_path / "run/c.py").a == 1
    runner.train()
    assert Config.fromfile(tmp_path / "run/c.py").a == 2
    (log,) = (tmp_path / "run").glob("*/vis_data/scalars.json")
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()]
