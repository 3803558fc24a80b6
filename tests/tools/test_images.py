"""Predicting folders of unlabelled pictures: any usual format, any sizes, any toolkit."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from PIL import Image
from support.tools import ROOT, TINY

import fdam_mm.openmmlab  # noqa: F401
from fdam_mm.cli import test as tool
from fdam_mm.oriented.results import load_results
from fdam_mm.toolkits.registration import register_toolkit
from fdam_mm.training.config import read_config

SIZES = {"a.png": (64, 64), "b.jpg": (64, 96), "c.tif": (80, 64), "d.webp": (64, 64)}
SIZES["e.JPEG"] = (96, 64)
DEMO = ROOT / "configs/demo"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for name, size in SIZES.items():
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / name)
    (tmp_path / "pictures/notes.txt").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save_untrained(config_file: Path, file: Path) -> None:
    config = read_config(str(config_file), {})
    register_toolkit(config.default_scope)
    init_default_scope(config.default_scope)
    torch.manual_seed(0)
    torch.save(MODELS.build(config.model).state_dict(), file)


def predict(monkeypatch: pytest.MonkeyPatch, config: Path, *arguments: object) -> None:
    if not Path("model.pth").exists():
        save_untrained(config, Path("model.pth"))
    told = ["test.py", config, "model.pth", "--images", "pictures", *arguments]
    monkeypatch.setattr(sys, "argv", list(map(str, told)))
    tool.main()


def labels(folder: Path) -> dict[str, np.ndarray]:
    return {file.stem: np.asarray(Image.open(file)) for file in folder.iterdir()}


def test_segmentation_of_mixed_sizes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of mixed sizes gives what each picture gives alone."""
    predict(monkeypatch, TINY, "--out", "alone", "--show-dir", "shown", "--work-dir", "w")
    predict(
        monkeypatch, TINY, "--out", "together", "--work-dir", "w2",
        "--cfg-options", "test_dataloader.batch_size=5",
    )  # fmt: skip
    alone, together = labels(folder / "alone"), labels(folder / "together")
    assert {name[0]: found.shape for name, found in alone.items()} == {
        name[0]: size for name, size in SIZES.items()
    }
    for name, found in alone.items():
        np.testing.assert_array_equal(together[name], found)
        assert found.min() >= 1  # as in the label maps of the config's data
    assert len(list((folder / "shown").rglob("*.png"))) == len(SIZES)


def test_boxes_and_segments(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = DEMO / "fdam-mask-dino_demo.py"
    predict(monkeypatch, config, "--out", "found.pkl", "--show-dir", "shown", "--work-dir", "w")
    found = pickle.loads((folder / "found.pkl").read_bytes())
    assert sorted(sample["img_id"] for sample in found) == ["a", "b", "c", "d", "e"]
    assert len(list((folder / "shown").rglob("*.*"))) == len(SIZES)


def test_rotated_boxes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = DEMO / "fdam-oriented-rcnn_lsknet_demo.py"
    predict(monkeypatch, config, "--out", "found.npz", "--show-dir", "shown", "--work-dir", "w")
    assert sorted(load_results(folder / "found.npz").pictures) == ["a", "b", "c", "d", "e"]
    assert len(list((folder / "shown").rglob("*.*"))) == len(SIZES)


def test_two_pictures_of_one_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (64, 64)).save(folder / "pictures/a.bmp")
    with pytest.raises(SystemExit, match="several pictures a"):
        predict(monkeypatch, TINY, "--out", "labels")
    assert not (folder / "labels").exists()
