"""Splitting a made-up DOTA."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from support.paths import python_path
from support.tools import ROOT, fail

from fdam_mm.data.prepare import dota as dota_prepare
from fdam_mm.data.prepare import dota_split
from fdam_mm.data.prepare.dota import SplitReport, prepare_dota
from fdam_mm.data.prepare.dota_split import PADDING, SCALES, Scales
from fdam_mm.errors import PreparationError

mmcv = pytest.importorskip("mmcv")

TINY = Scales("split_ss_dota", (64,), (16,))
PLANE = "10 10 30 10 30 30 10 30 plane 0\n"


def add_picture(
    folder: Path, name: str, height: int = 60, width: int = 100, labels: str | None = PLANE
) -> np.ndarray:
    """Write a picture with its labels and return its pixels."""
    pixels = np.random.default_rng(len(name) + height).integers(
        0, 256, (height, width, 3), np.uint8
    )
    (folder / "images").mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "images" / f"{name}.png"), pixels)
    if labels is not None:
        (folder / "labelTxt").mkdir(exist_ok=True)
        (folder / "labelTxt" / f"{name}.txt").write_text(labels)
    return pixels


@pytest.fixture
def src(tmp_path: Path) -> Path:
    for number in range(3):
        add_picture(tmp_path / "src/train", f"P{number}", width=100 + number)
    add_picture(tmp_path / "src/val", "P5")
    add_picture(tmp_path / "src/test", "P7", labels=None)
    return tmp_path / "src"


def files(root: Path) -> dict[str, bytes]:
    """Return the content of all files by their paths."""
    return {
        str(file.relative_to(root)): file.read_bytes()
        for file in root.rglob("*")
        if file.is_file()
    }


def prepare(src: Path, dst: Path, workers: int = 1, scales: Scales = TINY) -> SplitReport:
    return prepare_dota(src, dst, scales, workers)


def test_layout_and_content(tmp_path: Path) -> None:
    pixels = add_picture(tmp_path / "train", "P0", height=60, width=100)
    report = prepare(tmp_path, tmp_path / "data")
    root = tmp_path / "data/split_ss_dota"
    patches = {"P0__64__0___0", "P0__64__36___0"}
    for split in ("train", "trainval"):
        assert {file.stem for file in (root / split / "images").iterdir()} == patches
        assert {file.stem for file in (root / split / "annfiles").iterdir()} == patches
    patch = cv2.imread(str(root / "train/images/P0__64__36___0.png"))
    np.testing.assert_array_equal(patch[:60], pixels[:, 36:])
    assert (patch[60:] == PADDING).all() and patch.shape == (64, 64, 3)
    text = (root / "train/annfiles/P0__64__0___0.txt").read_text()
    assert text == "10.0 10.0 30.0 10.0 30.0 30.0 10.0 30.0 plane 0\n"
    assert (root / "train/annfiles/P0__64__36___0.txt").read_text() == ""
    assert [outcome.patches for outcome in report.done["train"]] == [sorted(patches)]
    assert report.skipped == []


def test_sets(src: Path, tmp_path: Path) -> None:
    report = prepare(src, tmp_path)
    assert {split: len(done) for split, done in report.done.items()} == dict(
        train=3, val=1, test=1
    )
    root = tmp_path / "split_ss_dota"
    names = {split: set(os.listdir(root / split / "images")) for split in ("train", "val", "test")}
    assert set(os.listdir(root / "trainval/images")) == names["train"] | names["val"]
    assert all(file.read_bytes() == b"" for file in (root / "test/annfiles").iterdir())
    assert not (root / ".partial").exists()


def test_multiple_scales(tmp_path: Path) -> None:
    """1500 x 1300: nothing of 2048 (0.46 of it would be picture), 4 of 1024 and 12 of 682."""
    assert SCALES["ss"] == Scales("split_ss_dota", (1024,), (200,))
    assert SCALES["ms"] == Scales("split_ms_dota", (2048, 1024, 682), (1000, 500, 333))
    pixels = add_picture(tmp_path / "train", "P0", height=1300, width=1500)
    report = prepare(tmp_path, tmp_path, scales=SCALES["ms"])
    patches = report.done["train"][0].patches
    sizes = [int(patch.split("__")[1]) for patch in patches]
    assert {size: sizes.count(size) for size in set(sizes)} == {1024: 4, 682: 12}
    file = tmp_path / "split_ms_dota/train/images/P0__682__349___618.png"
    np.testing.assert_array_equal(cv2.imread(str(file)), pixels[618 : 618 + 682, 349 : 349 + 682])


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "I;16"])
def test_kinds_of_pictures(tmp_path: Path, mode: str) -> None:
    add_picture(tmp_path / "train", "P0", 64, 64)
    file = tmp_path / "train/images/P0.png"
    grey = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    wide = mode == "I;16"
    picture = Image.fromarray(grey) if wide else Image.open(file).convert(mode)
    picture.save(file)
    prepare(tmp_path, tmp_path / "dst")
    patch = cv2.imread(str(tmp_path / "dst/split_ss_dota/train/images/P0__64__0___0.png"), -1)
    expected = np.repeat(grey[..., None] >> 8, 3, 2) if wide else picture.convert("RGB")
    np.testing.assert_array_equal(patch[..., ::-1], np.asarray(expected))


def test_any_number_of_workers(src: Path, tmp_path: Path) -> None:
    prepare(src, tmp_path / "one", workers=1)
    prepare(src, tmp_path / "three", workers=3)
    assert files(tmp_path / "one") == files(tmp_path / "three")
    assert len(files(tmp_path / "one")) > 20


def test_trainval_takes_no_space(src: Path, tmp_path: Path, monkeypatch) -> None:
    prepare(src, tmp_path / "links")
    name = "images/P0__64__0___0.png"
    train, joined = (tmp_path / f"links/split_ss_dota/{split}" for split in ("train", "trainval"))
    assert (train / name).samefile(joined / name)

    def no_links(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(dota_split.os, "link", no_links)
    prepare(src, tmp_path / "copies")
    assert files(tmp_path / "copies") == files(tmp_path / "links")


def test_unreadable_ones_are_skipped_and_tried_again(src: Path, tmp_path: Path) -> None:
    prepare(src, tmp_path / "expected")
    image, labels = src / "train/images/P1.png", src / "val/labelTxt/P5.txt"
    whole = image.read_bytes()
    image.write_bytes(whole[:-100])  # the upper rows can be read
    labels.write_text(PLANE + "1 2 3 plane 0\n")
    report = prepare(src, tmp_path / "dst", workers=2)
    assert len(report.skipped) == 2
    assert "train/images/P1.png: unreadable" in report.skipped[0]
    assert "val/labelTxt/P5.txt:2: 5 items" in report.skipped[1]
    assert [outcome.name for outcome in report.done["train"]] == ["P0", "P2"]
    made = files(tmp_path / "dst")
    assert not [name for name in made if "P1__" in name or "P5__" in name]
    image.write_bytes(whole)
    labels.write_text(PLANE)
    assert prepare(src, tmp_path / "dst").skipped == []
    assert patches_of(tmp_path / "dst") == patches_of(tmp_path / "expected")


def patches_of(dst: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(dst).items() if not name.endswith("jsonl")}


def test_finished_pictures_are_left_alone(src: Path, tmp_path: Path, monkeypatch) -> None:
    prepare(src, tmp_path)
    before = files(tmp_path)
    monkeypatch.setattr(dota_prepare, "split_picture", None)
    report = prepare(src, tmp_path)
    assert files(tmp_path) == before
    assert len(report.done["train"]) == 3


def test_going_on_after_a_stop(src: Path, tmp_path: Path, monkeypatch) -> None:
    """It stops while it moves the second picture's patches, with a line half written."""
    prepare(src, tmp_path / "expected")
    publish, calls = dota_split._publish, []

    def stop(job: dota_split.Job, patches: list[str]) -> None:
        calls.append(job.picture.name)
        if len(calls) == 2:
            publish(job, patches[:1])
            raise KeyboardInterrupt
        publish(job, patches)

    monkeypatch.setattr(dota_split, "_publish", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(src, tmp_path / "dst")
    done = tmp_path / "dst/split_ss_dota/train/pictures.jsonl"
    assert [json.loads(line)["name"] for line in done.read_text().splitlines()] == ["P0"]
    done.write_text(done.read_text() + '{"name": "P1", "sta')
    prepare(src, tmp_path / "dst")
    assert calls == ["P0", "P1", "P1", "P2", "P5", "P7"]
    assert files(tmp_path / "dst") == files(tmp_path / "expected")


def test_lost_patch_and_changed_labels_are_made_again(src: Path, tmp_path: Path) -> None:
    prepare(src, tmp_path)
    root = tmp_path / "split_ss_dota"
    (root / "train/images/P0__64__0___0.png").unlink()
    add_picture(src / "train", "P1", width=60)  # one patch instead of two
    (src / "train/labelTxt/P1.txt").write_text(PLANE.replace("plane", "ship"))
    prepare(src, tmp_path)
    assert (root / "train/images/P0__64__0___0.png").is_file()
    for split in ("train", "trainval"):
        assert [file.stem for file in (root / split / "annfiles").glob("P1*")] == ["P1__64__0___0"]
        assert "ship" in (root / split / "annfiles/P1__64__0___0.txt").read_text()


def test_refusals(src: Path, tmp_path: Path) -> None:
    prepare(src, tmp_path / "dst")
    before = files(tmp_path / "dst")
    with pytest.raises(PreparationError, match=r"other settings: .*\[64\].*\[32\]"):
        prepare(src, tmp_path / "dst", scales=Scales("split_ss_dota", (32,), (16,)))
    (src / "train/images/P0.png").unlink()
    with pytest.raises(PreparationError, match="has patches of P0, which the source has not"):
        prepare(src, tmp_path / "dst")
    assert files(tmp_path / "dst") == before
    (tmp_path / "other/split_ss_dota").mkdir(parents=True)
    (tmp_path / "other/split_ss_dota/mine").write_text("keep")
    with pytest.raises(PreparationError, match="was not made by this tool"):
        prepare(src, tmp_path / "other")
    add_picture(src / "train", "P5")
    with pytest.raises(PreparationError, match="train and val both have a picture P5"):
        prepare(src, tmp_path / "new")
    with pytest.raises(PreparationError, match="none of the folders train, val, test"):
        prepare(tmp_path / "nothing", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_two_runs_at_once(src: Path, tmp_path: Path) -> None:
    prepare(src, tmp_path)
    root = tmp_path / "split_ss_dota"
    with dota_prepare._only_run(root), pytest.raises(PreparationError, match="another run is at"):
        prepare(src, tmp_path)


def test_full_disk_is_not_a_broken_picture(src: Path, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dota_split, "write_picture", full)
    with pytest.raises(OSError, match="No space left"):
        prepare(src, tmp_path)


def test_tool(src: Path, tmp_path: Path) -> None:
    """A picture of 170 x 170 with labels beyond it, and one that is broken."""
    add_picture(src / "train", "P0", 170, 170, "359 663 369 497 543 509 531 677 plane 0\n")
    (src / "train/images/P1.png").write_text("broken")
    told = fail(
        *("prepare_data.py", "dota", src, "data", "--split", "ss", "--workers", "1"), cwd=tmp_path
    )
    assert "skipped files (1):" in told and "P1.png: unreadable" in told
    assert "train: 2 pictures, 2 patches, 1 labels" in told
    assert "objects outside their picture: 1, in P0" in told
    assert (tmp_path / "data/split_ss_dota/test/images/P7__1024__0___0.png").is_file()


def test_killed_run_goes_on(tmp_path: Path) -> None:
    src, target = tmp_path / "src", tmp_path / "dst/split_ss_dota"
    for number in range(8):
        add_picture(src / "train", f"P{number}", 700, 1500)
    arguments = ["dota", src, tmp_path / "dst", "--split", "ss", "--workers", "1"]
    command = [sys.executable, ROOT / "tools/prepare_data.py", *arguments]
    run = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": python_path()}, stderr=subprocess.DEVNULL
    )
    done = target / "train/pictures.jsonl"
    while not (done.is_file() and done.read_text().count("\n") >= 2):
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    finished = done.read_text().count("\n")
    assert 2 <= finished < 8
    assert len(prepare(src, tmp_path / "dst", 1, SCALES["ss"]).done["train"]) == 8
    prepare(src, tmp_path / "expected", 1, SCALES["ss"])
    assert files(tmp_path / "dst") == files(tmp_path / "expected")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_turned_picture_is_split_as_it_is_seen(tmp_path: Path, suffix: str) -> None:
    """Its labels were drawn on what every viewer shows; the loader of the patches shows it too."""
    add_picture(tmp_path / "train", "P0", height=60, width=100)
    file = tmp_path / f"train/images/P0.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = 6
    settings = dict(tiffinfo={0x0112: 6}) if suffix == "tif" else dict(exif=exif)
    Image.open(tmp_path / "train/images/P0.png").save(tmp_path / f"P0.{suffix}", **settings)
    (tmp_path / "train/images/P0.png").unlink()
    (tmp_path / f"P0.{suffix}").replace(file)
    seen = mmcv.imread(file)
    assert seen.shape == (100, 60, 3)
    prepare(tmp_path, tmp_path / "dst")
    for top in (0, 36):
        patch = tmp_path / f"dst/split_ss_dota/train/images/P0__64__0___{top}.png"
        np.testing.assert_array_equal(cv2.imread(str(patch))[:, :60], seen[top : top + 64])
