"""From training on the demo set to DOTA's submission and to a whole picture, by the tools."""

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.tools import ROOT, losses, succeed
from torch import nn

from fdam_mm.apis import Result
from fdam_mm.cli import infer_large
from fdam_mm.data.demo.demo_set import write_demo_set
from fdam_mm.oriented.boxes import OrientedBoxes
from fdam_mm.oriented.dota_zip import read_submission
from fdam_mm.oriented.patches import merge_patches
from fdam_mm.oriented.results import (
    OrientedResults,
    load_results,
    save_results,
)

CONFIG = ROOT / "configs/demo/fdam-oriented-rcnn_lsknet_demo.py"
PATCH = "DEMO__192__0___0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo set, a checkpoint of two steps, and what it finds in unlabelled patches."""
    root = tmp_path_factory.mktemp("dota")
    write_demo_set(root / "data", num_train=8, num_val=2, layout="dota")
    options = [f"data_root={root / 'data'}", "train_cfg.max_iters=2", "val_cfg=None"]
    options += ["val_dataloader=None", "val_evaluator=None", "default_hooks.logger.interval=1"]
    succeed("train.py", CONFIG, "--work-dir", "run", "--cfg-options", *options, cwd=root)
    (root / "patches").mkdir()
    picture = (root / "data/val/images/DEMO_00000001.png").read_bytes()
    (root / "patches" / f"{PATCH}.png").write_bytes(picture)
    (root / "patches" / "DEMO__192__150___0.png").write_bytes(picture)
    succeed(
        "test.py", CONFIG, "run/iter_2.pth", "--images", "patches", "--out", "boxes.npz",
        "--work-dir", "test", cwd=root,
    )  # fmt: skip
    return root


def run_here(monkeypatch: pytest.MonkeyPatch, tool: str, *arguments: object) -> str:
    """Run a tool in this process, which saves seconds; return the message that it fails with."""
    monkeypatch.setattr(sys, "argv", [tool, *map(str, arguments)])
    try:
        runpy.run_path(str(ROOT / "tools" / tool), run_name="__main__")
    except SystemExit as end:
        return str(end)
    return ""


def test_training_and_predicting(folder: Path) -> None:
    assert np.isfinite(losses(folder / "run")).all()
    results = load_results(folder / "boxes.npz")
    assert results.classes[0] == "plane" and len(results.classes) == 6
    assert set(results.pictures) == {PATCH, "DEMO__192__150___0"}
    assert len(results.pictures[PATCH]) > 10


def test_submission(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    arguments = (folder / "boxes.npz", folder / "sub/out.zip")
    assert run_here(monkeypatch, "dota_submit.py", *arguments) == ""
    text = capsys.readouterr().out
    merged = merge_patches(load_results(folder / "boxes.npz").pictures)
    counts = read_submission(folder / "sub/out.zip")
    assert sum(found["DEMO"] for found in counts.values()) == len(merged["DEMO"]) > 10
    assert "6 files; 2 patches with" in text and "became 1 pictures" in text


def test_whole_picture_of_one_window_as_test_py(folder: Path) -> None:
    succeed(
        "infer_large.py", folder / "patches" / f"{PATCH}.png", CONFIG, "run/iter_2.pth",
        "--out", "large", "--score-thr", 0, cwd=folder,
    )  # fmt: skip
    found = load_results(folder / "boxes.npz").pictures[PATCH]
    wanted = merge_patches({PATCH: found})["DEMO"]
    rows = [line.split() for line in (folder / "large/boxes.txt").read_text().splitlines()]
    assert len(rows) == len(wanted)
    corners = np.array([row[:8] for row in rows], float).reshape(-1, 4, 2)
    np.testing.assert_allclose(corners, wanted.corners(), atol=0.02)
    np.testing.assert_allclose([float(row[9]) for row in rows], wanted.scores, atol=1e-4)
    assert (folder / "large/boxes.jpg").stat().st_size > 5000


def test_a_turned_picture_and_too_few_colours(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same boxes as of the upright picture; classes without a colour get one."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    with Image.open(folder / "patches" / f"{PATCH}.png") as upright:
        upright.rotate(90, expand=True).save(folder / "turned.png", exif=exif)
        upright.save(folder / "upright.png")
    for name in ("upright", "turned"):
        arguments = (folder / f"{name}.png", CONFIG, folder / "run/iter_2.pth", "--score-thr", 0)
        palette = "test_dataloader.dataset.metainfo.palette=[[9,9,9]]"
        out = ("--out", folder / f"{name}_boxes", "--cfg-options", palette)
        assert run_here(monkeypatch, "infer_large.py", *arguments, *out) == ""
    texts = [(folder / f"{name}_boxes/boxes.txt").read_text() for name in ("upright", "turned")]
    assert texts[0] == texts[1] and len(texts[0].splitlines()) > 10
    assert (folder / "turned_boxes/boxes.jpg").stat().st_size > 5000


def test_a_small_picture_is_filled_up_not_enlarged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    predict = infer_large.predict

    def watched(model: nn.Module, source: np.ndarray, *others: int) -> Iterator[Result]:
        seen.append(source)
        return predict(model, source, *others)

    monkeypatch.setattr(infer_large, "predict", watched)
    pixels = np.random.default_rng(0).integers(0, 255, (60, 100, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "small.png")
    arguments = (folder / "small.png", CONFIG, folder / "run/iter_2.pth", "--out", folder / "few")
    assert run_here(monkeypatch, "infer_large.py", *arguments) == ""
    assert seen[0].shape == (192, 192, 3)
    np.testing.assert_array_equal(seen[0][:60, :100], pixels[..., ::-1])
    with Image.open(folder / "few/boxes.jpg") as drawn:
        assert drawn.size[0] == 100


def test_boxes_are_written_before_they_are_drawn(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise IndexError("of a drawing")

    monkeypatch.setattr("fdam_mm.apis.results.oriented.draw_rotated_boxes", fail)
    picture = folder / "patches" / f"{PATCH}.png"
    with pytest.raises(IndexError, match="of a drawing"):
        run_here(
            monkeypatch, "infer_large.py", picture, CONFIG, folder / "run/iter_2.pth",
            "--score-thr", 0, "--out", folder / "undrawn",
        )  # fmt: skip
    assert len((folder / "undrawn/boxes.txt").read_text().splitlines()) > 10


class TestWrongInput:
    def test_existing_output_is_kept(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("mine.zip", "mine"):
            (folder / name).write_text("keep")
        message = run_here(
            monkeypatch, "dota_submit.py", folder / "boxes.npz", folder / "mine.zip"
        )
        assert "mine.zip exists and is left as it is" in message
        message = run_here(
            monkeypatch, "infer_large.py", "a.png", CONFIG, "a.pth", "--out", folder / "mine"
        )
        assert "mine exists and is left as it is" in message
        assert (folder / "mine.zip").read_text() == (folder / "mine").read_text() == "keep"

    def test_missing_patches(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        none = OrientedBoxes(np.zeros((0, 5)), np.zeros(0), np.zeros(0, int))
        names = ["P__1024__0___0", "P__1024__824___0", "P__1024__0___824"]
        results = OrientedResults(("ship",), dict.fromkeys(names, none))
        save_results(tmp_path / "boxes.npz", results)
        arguments = (tmp_path / "boxes.npz", tmp_path / "out.zip")
        message = run_here(monkeypatch, "dota_submit.py", *arguments)
        assert "1 patches are missing: P__1024__824___824;" in message
        assert "--allow-partial" in message and not (tmp_path / "out.zip").exists()

    def test_unusable_results(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "boxes.pkl").write_bytes(b"\x80\x04N.")
        message = run_here(
            monkeypatch, "dota_submit.py", tmp_path / "boxes.pkl", tmp_path / "out.zip"
        )
        assert "boxes.pkl holds no rotated boxes" in message and "--out NAME.npz" in message

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["missing.png"], "picture missing.png does not exist"),
            (["README.md"], "README.md: unreadable"),
            (["README.md", "--batch-size", "0"], "--batch-size is 0"),
            (["README.md", "--device", "gpu"], "device is 'gpu', which cannot be used"),
            (["README.md", "--device", "cuda:77"], "device is 'cuda:77', which cannot be used"),
            (["docs/demo.jpg", "--size", "100", "--overlap", "100"], "overlap is 100, expected"),
            (["docs/demo.jpg"], "checkpoint none.pth does not exist"),
        ],
    )
    def test_large_picture(
        self,
        arguments: list[str],
        message: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(ROOT)
        image, *others = arguments
        arguments = [image, str(CONFIG), "none.pth", "--out", str(tmp_path / "out"), *others]
        assert message in run_here(monkeypatch, "infer_large.py", *arguments)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([CONFIG, "a.pth", "--images", "docs"], "--images needs --out"),
            ([CONFIG, "a.pth", "--images", "tools", "--out", "b.npz"], "tools has no pictures"),
            (["configs/demo/mask-dino_demo.py", "a.pth", "--out", "b.npz"], "name it .pkl"),
        ],
    )
    def test_predictions(
        self, arguments: list[object], message: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(ROOT)
        assert message in run_here(monkeypatch, "test.py", *arguments)
