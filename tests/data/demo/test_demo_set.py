import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.paths import ROOT, python_path

from fdam_mm.data.demo import ade20k as demo_ade20k
from fdam_mm.data.demo import demo_set
from fdam_mm.data.demo.demo_set import LAYOUTS, RECORD, write_demo_set
from fdam_mm.data.demo.scenes import CLASSES

IMAGE = "images/training/DEMO_train_00000001.jpg"
ANNOTATION = "annotations/training/DEMO_train_00000001.png"


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_layout_and_values(tmp_path: Path) -> None:
    write_demo_set(tmp_path / "demo", 2, 1, size=48)
    names = set(contents(tmp_path / "demo"))
    assert names == {
        RECORD,
        IMAGE,
        ANNOTATION,
        "images/training/DEMO_train_00000002.jpg",
        "annotations/training/DEMO_train_00000002.png",
        "images/validation/DEMO_val_00000001.jpg",
        "annotations/validation/DEMO_val_00000001.png",
    }
    labels = cv2.imread(str(tmp_path / "demo" / ANNOTATION), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (48, 48) and labels.dtype == np.uint8
    assert labels.max() <= len(CLASSES)
    assert cv2.imread(str(tmp_path / "demo" / IMAGE)).shape == (48, 48, 3)
    assert os.listdir(tmp_path) == ["demo"]  # no temporary folder is left


def test_pictures_depend_on_seed_and_number_alone(tmp_path: Path) -> None:
    write_demo_set(tmp_path / "small", 1, 1, size=48)
    write_demo_set(tmp_path / "large", 3, 2, size=48)
    write_demo_set(tmp_path / "other", 1, 1, size=48, seed=1)
    small, large, other = (contents(tmp_path / name) for name in ("small", "large", "other"))
    shared = small.keys() - {RECORD}
    assert all(small[name] == large[name] for name in shared)
    assert all(small[name] != other[name] for name in shared)
    assert small[IMAGE] != small["images/validation/DEMO_val_00000001.jpg"]


def test_finished_set_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_demo_set(tmp_path, 1, 1, size=48)  # an empty folder is filled
    monkeypatch.setattr(demo_set, "_draw_scenes", None)  # drawing again would fail
    write_demo_set(tmp_path, 1, 1, size=48)


def test_other_parameters_are_refused(tmp_path: Path) -> None:
    write_demo_set(tmp_path / "demo", 1, 1, size=48)
    before = contents(tmp_path / "demo")
    with pytest.raises(FileExistsError, match="training is 1, expected 2"):
        write_demo_set(tmp_path / "demo", 2, 1, size=48)
    assert contents(tmp_path / "demo") == before


def test_other_layout_is_refused(tmp_path: Path) -> None:
    write_demo_set(tmp_path / "demo", 1, 1, size=48)
    with pytest.raises(FileExistsError, match="layout is ade20k, expected coco"):
        write_demo_set(tmp_path / "demo", 1, 1, size=48, layout="coco")


def test_set_from_before_there_were_layouts_is_kept(tmp_path: Path) -> None:
    write_demo_set(tmp_path, 1, 1, size=48)
    record = json.loads((tmp_path / RECORD).read_text())
    del record["layout"]
    (tmp_path / RECORD).write_text(json.dumps(record))
    write_demo_set(tmp_path, 1, 1, size=48)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_write_the_files_that_they_name(tmp_path: Path, layout: str) -> None:
    write_demo_set(tmp_path, 2, 1, size=96, layout=layout)
    named = [LAYOUTS[layout].files("training", 2), LAYOUTS[layout].files("validation", 1)]
    assert contents(tmp_path).keys() == {RECORD, *(file.as_posix() for f in named for file in f)}


def test_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="layout is 'voc', expected one of ade20k, coco"):
        write_demo_set(tmp_path, 1, 1, layout="voc")


def test_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="not a demo set"):
        write_demo_set(tmp_path, 1, 1, size=48)
    assert contents(tmp_path) == {"mine.txt": b"keep"}


def test_damaged_set_is_refused(tmp_path: Path) -> None:
    write_demo_set(tmp_path / "demo", 1, 1, size=48)
    (tmp_path / "demo" / IMAGE).unlink()
    with pytest.raises(FileExistsError, match="lacks 1 files, such as .*train_00000001.jpg"):
        write_demo_set(tmp_path / "demo", 1, 1, size=48)


def test_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_ade20k, "write_picture", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_demo_set(tmp_path / "demo", 1, 1, size=48)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["num_train", "num_val", "size", "seed"])
def test_numbers_out_of_range(tmp_path: Path, name: str) -> None:
    numbers = {"num_train": 1, "num_val": 1, "size": 48, "seed": 0, name: -1}
    with pytest.raises(ValueError, match=f"{name} is -1, expected at least"):
        write_demo_set(tmp_path / "demo", **numbers)


def test_tool(tmp_path: Path) -> None:
    command = [sys.executable, "tools/make_demo_set.py", str(tmp_path), "--size", "48"]
    env = {**os.environ, "PYTHONPATH": python_path()}
    done = subprocess.run(
        [*command, "--train", "1", "--val", "1"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / IMAGE).is_file()
    refused = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert refused.returncode == 1
    assert (
        refused.stderr.startswith("make_demo_set.py: error: ")
        and "Traceback" not in refused.stderr
    )
