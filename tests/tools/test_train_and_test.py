"""Training, resuming and evaluating through the command-line tools, on one process and on two."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.tools import TINY, fail, losses, metric, run_tool, succeed

from fdam_mm.checkpoints import load
from fdam_mm.data.demo.demo_set import write_demo_set

OFFICIAL = {  # our keys to those of the release
    "att_inv.low_gate": "dy_freq_2",
    "att_inv.high_gate": "dy_freq",
    "att_inv.act": "dy_freq_starrelu",
    "att_inv.low_gamma": "lf_gamma",
    "att_inv.high_gamma": "hf_gamma",
    ".bases": ".complex_weights",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "demo"
    write_demo_set(root, num_train=8, num_val=4, size=64)
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Work folder of a finished training."""
    folder = tmp_path_factory.mktemp("trained")
    succeed("train.py", TINY, "--work-dir", "run", *options(data), cwd=folder)
    return folder / "run"


def options(data: Path, *more: str) -> list[str]:
    return ["--cfg-options", f"data_root={data}", *more]


def test_training_leaves_checkpoints_and_learns(trained: Path) -> None:
    names = {file.name for file in trained.glob("*.pth")}
    assert {"iter_3.pth", "iter_6.pth"} < names and len(names) == 3  # and the best
    curve = losses(trained)
    assert len(curve) == 6 and curve[-1] < curve[0]
    assert not list(trained.glob(".iter*"))  # no half-written file


def test_resuming_continues_exactly(trained: Path, data: Path, tmp_path: Path) -> None:
    succeed(
        "train.py", TINY, "--work-dir", "run", "--resume", trained / "iter_3.pth", *options(data),
        cwd=tmp_path,
    )  # fmt: skip
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(trained)[3:], rtol=1e-5)
    ours, first = (load(f / "iter_6.pth")["state_dict"] for f in (tmp_path / "run", trained))
    for key, value in first.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-4, atol=1e-6)


def test_a_second_training_does_not_overwrite(trained: Path, data: Path) -> None:
    before = (trained / "iter_6.pth").read_bytes()
    error = fail("train.py", TINY, "--work-dir", trained, *options(data), cwd=trained)
    assert "holds iter_6.pth of an earlier training" in error and "--resume" in error
    assert (trained / "iter_6.pth").read_bytes() == before


def test_evaluation_writes_predictions_and_pictures(
    trained: Path, data: Path, tmp_path: Path
) -> None:
    succeed(
        "test.py", TINY, trained / "iter_6.pth", "--work-dir", "out", "--out", "labels",
        "--show-dir", "pictures", *options(data), cwd=tmp_path,
    )  # fmt: skip
    labels = sorted((tmp_path / "labels").glob("*.png"))
    assert len(labels) == 4
    values = np.unique(np.array(Image.open(labels[0])))
    assert values.min() >= 1 and values.max() <= 7  # as in the annotations
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == 4
    assert 0 < metric(tmp_path / "out") <= 100


def test_released_checkpoint_evaluates_as_it_is(trained: Path, data: Path, tmp_path: Path) -> None:
    """A file in the layout of the release: official keys and meta of mmseg 0.x."""
    state = {}
    for key, value in load(trained / "iter_6.pth")["state_dict"].items():
        for ours, official in OFFICIAL.items():
            key = key.replace(ours, official)
        state[key] = value
    assert any("dy_freq_2" in key for key in state)
    meta = dict(mmseg_version="0.30.0", CLASSES=("a", "b"), PALETTE=[[0, 0, 0]], config="x = 1")
    torch.save(dict(meta=meta, state_dict=state), tmp_path / "released.pth")
    for file, work in ((tmp_path / "released.pth", "theirs"), (trained / "iter_6.pth", "ours")):
        succeed("test.py", TINY, file, "--work-dir", work, *options(data), cwd=tmp_path)
    assert metric(tmp_path / "theirs") == metric(tmp_path / "ours")


def test_mixed_precision(data: Path, tmp_path: Path) -> None:
    settings = options(data, "train_cfg.max_iters=2", "train_cfg.val_interval=2")
    succeed("train.py", TINY, "--amp", "--work-dir", "amp", *settings, cwd=tmp_path)
    assert np.isfinite(losses(tmp_path / "amp")).all()


def test_two_processes_equal_one(trained: Path, data: Path, tmp_path: Path) -> None:
    """Two gloo processes with half the batch each log the losses of one with the whole batch."""
    arguments = options(data, "train_dataloader.batch_size=2")
    succeed("dist_train.sh", TINY, 2, "--work-dir", "two", *arguments, cwd=tmp_path)
    two = losses(tmp_path / "two")
    assert len(two) == 6
    np.testing.assert_allclose(two, losses(trained), rtol=1e-4)
    settings = ["--work-dir", "out", *options(data)]
    succeed("dist_test.sh", TINY, tmp_path / "two/iter_6.pth", 2, *settings, cwd=tmp_path)
    succeed("test.py", TINY, tmp_path / "two/iter_6.pth", "--work-dir", "one", *options(data),
            cwd=tmp_path)  # fmt: skip
    assert metric(tmp_path / "out") == pytest.approx(metric(tmp_path / "one"), abs=0.01)


class TestWrongInput:
    def test_config_mistakes(self, data: Path, tmp_path: Path) -> None:
        error = fail("train.py", TINY, *options(data, "model.backbone.embed_dim=3"), cwd=tmp_path)
        last = error.splitlines()[-1]
        assert last.startswith("train.py: error: config") and "'embed_dim'" in last
        error = fail("check_data.py", TINY.with_name("tools.md"), cwd=tmp_path)
        assert "tools.md does not exist" in error
        (tmp_path / "README.md").touch()
        error = fail("check_data.py", "README.md", cwd=tmp_path)
        assert (
            error.startswith("check_data.py: error: config README.md") and "Only py/yml" in error
        )

    def test_missing_checkpoint(self, trained: Path, data: Path) -> None:
        error = fail("test.py", TINY, "iter_7.pth", *options(data), cwd=trained)
        assert "checkpoint iter_7.pth does not exist" in error and "iter_6.pth" in error

    def test_truncated_checkpoint(self, trained: Path, data: Path, tmp_path: Path) -> None:
        file = tmp_path / "cut.pth"
        file.write_bytes((trained / "iter_6.pth").read_bytes()[:5000])
        error = fail("test.py", TINY, file, *options(data), cwd=tmp_path)
        assert "cut.pth (5000 bytes) is not a complete checkpoint" in error

    def test_wrong_class_count(self, trained: Path, data: Path, tmp_path: Path) -> None:
        settings = options(data, "model.decode_head.num_classes=5")
        error = fail("test.py", TINY, trained / "iter_6.pth", *settings, cwd=tmp_path)
        assert "decode_head.conv_seg.weight" in error and "num_classes" in error

    def test_wrong_class_count_of_training(self, data: Path, tmp_path: Path) -> None:
        settings = options(data, "model.decode_head.num_classes=9")
        error = fail("train.py", TINY, *settings, cwd=tmp_path)
        assert "model.decode_head.num_classes is 9, the data has 7 classes" in error

    def test_plain_config_with_fdam_checkpoint(
        self, trained: Path, data: Path, tmp_path: Path
    ) -> None:
        settings = options(data, "model.backbone.fdam=None")
        error = fail("test.py", TINY, trained / "iter_6.pth", *settings, cwd=tmp_path)
        assert "the checkpoint has FDAM and the model has none" in error

    def test_pickle(self, data: Path, tmp_path: Path) -> None:
        torch.save(dict(state_dict={}, meta=Path("x")), tmp_path / "pickled.pth")
        error = fail("test.py", TINY, tmp_path / "pickled.pth", *options(data), cwd=tmp_path)
        assert "--allow-pickle" in error
        done = run_tool("test.py", TINY, tmp_path / "pickled.pth", "--allow-pickle",
                        *options(data), cwd=tmp_path)  # fmt: skip
        assert "does not fit the model" in done.stderr  # read, and found empty

    def test_missing_config(self, tmp_path: Path) -> None:
        error = fail("train.py", "configs/demo/fdam-vit.py", cwd=tmp_path)
        assert "does not exist; did you mean configs/demo/fdam-vit_demo.py" in error

    def test_missing_data(self, tmp_path: Path) -> None:
        error = fail("train.py", TINY, *options(tmp_path / "nowhere"), cwd=tmp_path)
        assert "nowhere" in error and "check_data.py" in error

    def test_several_machines_without_their_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NNODES", "2")
        monkeypatch.delenv("MASTER_ADDR", raising=False)
        error = fail("dist_train.sh", TINY, 1, cwd=tmp_path)
        assert error == (
            "NNODES is 2: set MASTER_ADDR to the address of the first machine, on each"
        )

    def test_bad_process_count(self, tmp_path: Path) -> None:
        error = fail("dist_train.sh", TINY, "many", cwd=tmp_path)
        assert "GPUS is 'many'" in error
