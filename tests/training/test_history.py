"""The history of logged scalars, in memory and in checkpoints."""

from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from support.tools import losses
from support.toy import toy_runner

from fdam_mm.checkpoints import load
from fdam_mm.training.history import shortened

BARE = dict(save_last=False)


def test_checkpoints_do_not_grow(tmp_path: Path) -> None:
    toy_runner(tmp_path, 200, interval=20, hook=BARE).train()
    sizes = [(tmp_path / f"iter_{k}.pth").stat().st_size for k in (20, 40, 200)]
    assert sizes[1] == sizes[2] and abs(sizes[0] - sizes[1]) < 500  # before the first evaluation
    scalars = load(tmp_path / "iter_200.pth")["message_hub"]["log_scalars"]
    assert scalars and all(len(s.data[0]) <= 3 for s in scalars.values())


def test_memory_does_not_grow(tmp_path: Path) -> None:
    runner = toy_runner(tmp_path, 2000, interval=2000, hook=BARE)
    runner.train()
    lengths = [len(scalar.data[0]) for scalar in runner.message_hub.log_scalars.values()]
    assert max(lengths) <= 8


def test_the_smoothed_loss_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    toy_runner(tmp_path / "whole", 8, interval=4).train()
    toy_runner(tmp_path / "parts", 4, interval=4).train()
    toy_runner(tmp_path / "parts", 8, interval=4, resume=True).train()
    parts = sorted((tmp_path / "parts").glob("*/vis_data/scalars.json"))
    assert len(parts) in (1, 2)  # one if both began in the same second
    whole = losses(tmp_path / "whole")
    np.testing.assert_allclose(losses(tmp_path / "parts")[-4:], whole[-4:], rtol=1e-6)


def test_a_window_over_the_whole_training_keeps_all(tmp_path: Path) -> None:
    runner = toy_runner(tmp_path, 6, interval=6, hook=BARE)
    runner.log_processor.custom_cfg = [
        dict(data_src="loss", log_name="mean", method_name="mean", window_size="global")
    ]
    runner.train()
    scalars = load(tmp_path / "iter_6.pth")["message_hub"]["log_scalars"]
    assert len(scalars["train/loss"].data[0]) == 6


def test_old_checkpoints_resume_and_shrink(tmp_path: Path) -> None:
    toy_runner(tmp_path, 2, interval=2).train()
    file = tmp_path / "iter_2.pth"
    checkpoint = load(file)
    many = HistoryBuffer(np.arange(50_000.0), np.ones(50_000, int))
    checkpoint["message_hub"]["log_scalars"]["train/loss"] = many
    torch.save(checkpoint, file)
    toy_runner(tmp_path, 4, interval=2, resume=True).train()
    assert (tmp_path / "iter_4.pth").stat().st_size < file.stat().st_size / 10


def test_shortened_leaves_what_is_no_history() -> None:
    found = shortened(dict(a=HistoryBuffer([1, 2, 3], [1, 1, 2]), b="x"), 2)
    assert found["b"] == "x" and found["a"].data[0].tolist() == [2, 3]
    assert found["a"].data[1].tolist() == [1, 2]
