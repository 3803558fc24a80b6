import io
import json
import os
import shutil
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from support.coco import Picture, Thing, write_coco
from support.tools import run_tool

from fdam_mm.data.prepare import coco
from fdam_mm.data.prepare.coco import PANOPTIC_ZIP, has_panoptic, layout_problems, prepare_coco
from fdam_mm.errors import PreparationError


@pytest.fixture(autouse=True)
def small_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco, "OFFICIAL_COUNTS", {"train2017": 2, "val2017": 1})


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    picture = Picture([Thing((4, 4, 20, 20))], stuff=[90])
    write_coco(tmp_path / "unpacked", [picture, Picture()], "train")
    return write_coco(tmp_path / "unpacked", [picture], "val")


@pytest.fixture
def zips(tmp_path: Path, unpacked: Path) -> Path:
    """The four archives as COCO packs them, the panoptic one with zips inside."""
    src = tmp_path / "zips"
    src.mkdir()
    annotations = unpacked / "annotations"
    for split in ("train2017", "val2017"):
        pack(src / f"{split}.zip", unpacked, unpacked / split)
    pack(src / "annotations_trainval2017.zip", unpacked, *annotations.glob("instances_*.json"))
    with zipfile.ZipFile(src / PANOPTIC_ZIP, "w") as archive:
        for file in annotations.glob("panoptic_*.json"):
            archive.write(file, file.relative_to(unpacked))
        for folder in annotations.glob("panoptic_*2017"):
            inner = io.BytesIO()
            pack(inner, annotations, folder)
            archive.writestr(f"annotations/{folder.name}.zip", inner.getvalue())
        archive.writestr("__MACOSX/annotations/._panoptic", b"junk")
    return src


def pack(file: Path | io.BytesIO, root: Path, *paths: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for path in paths:
            for each in sorted(path.iterdir()) if path.is_dir() else [path]:
                archive.write(each, each.relative_to(root))


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_zips(tmp_path: Path, zips: Path, unpacked: Path) -> None:
    dst = tmp_path / "data/coco"
    assert prepare_coco(zips, dst)
    assert tree(dst) == tree(unpacked)  # nothing more, such as the inner zips
    assert os.listdir(dst.parent) == ["coco"]
    assert has_panoptic(dst)
    (dst / "mine.txt").write_text("keep")
    assert not prepare_coco(zips, dst)
    assert (dst / "mine.txt").read_text() == "keep"


def test_without_panoptic(tmp_path: Path, zips: Path) -> None:
    (zips / PANOPTIC_ZIP).unlink()
    assert prepare_coco(zips, tmp_path / "coco")
    assert not has_panoptic(tmp_path / "coco")


def test_folder_is_linked(tmp_path: Path, unpacked: Path) -> None:
    (unpacked / "train2017.zip").write_bytes(b"left over")
    dst = tmp_path / "data/coco"
    assert prepare_coco(unpacked, dst)
    assert dst.is_symlink() and dst.resolve() == unpacked.resolve()
    assert not prepare_coco(unpacked, dst)


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        ("annotations/instances_val2017.json", "instances_val2017.json is missing"),
        ("annotations/panoptic_val2017.json", "panoptic_val2017.json is missing"),
        ("annotations/panoptic_val2017", "annotations/panoptic_val2017 has no pictures"),
        ("val2017", "val2017 has no pictures, expected 1"),
        ("train2017/000000000001.jpg", "train2017 has 1 pictures, expected 2.*--allow-partial"),
    ],
)
def test_incomplete_folders_are_refused(
    tmp_path: Path, unpacked: Path, remove: str, message: str
) -> None:
    path = unpacked / remove
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(PreparationError, match=message):
        prepare_coco(unpacked, tmp_path / "coco")
    with pytest.raises(PreparationError, match=f"left as it is(.|\n)*{message}"):
        prepare_coco(tmp_path / "none", unpacked)
    assert not (tmp_path / "coco").exists()


def test_partial(tmp_path: Path, unpacked: Path) -> None:
    (unpacked / "train2017/000000000001.jpg").unlink()
    assert prepare_coco(unpacked, tmp_path / "coco", allow_partial=True)


def assert_refused(src: Path, dst: Path, message: str) -> None:
    with pytest.raises(PreparationError, match=message):
        prepare_coco(src, dst)
    assert not dst.exists()
    assert not list(dst.parent.glob(".coco*"))


def test_broken_zips(tmp_path: Path, zips: Path) -> None:
    dst = tmp_path / "coco"
    whole = (zips / PANOPTIC_ZIP).read_bytes()
    (zips / PANOPTIC_ZIP).write_bytes(whole[:-100])  # ends with the end of an inner zip
    assert_refused(zips, dst, f"{PANOPTIC_ZIP} holds no files of COCO 2017; download it again")
    (zips / PANOPTIC_ZIP).write_bytes(whole[: len(whole) // 2])
    assert_refused(zips, dst, f"{PANOPTIC_ZIP} (is broken or not a zip|holds no files)")
    photo = (zips / "train2017.zip").read_bytes()
    (zips / "train2017.zip").write_bytes(photo[:200] + bytes(8) + photo[208:])
    (zips / PANOPTIC_ZIP).write_bytes(whole)
    assert_refused(zips, dst, "train2017.zip is broken or not a zip.*Bad CRC")
    (zips / "train2017.zip").write_bytes(photo)
    with zipfile.ZipFile(zips / PANOPTIC_ZIP, "w") as archive:
        archive.writestr("annotations/panoptic_val2017.zip", b"no zip")
    assert_refused(zips, dst, "panoptic_val2017.zip is broken or not a zip")
    (zips / "val2017.zip").unlink()
    assert_refused(zips, dst, "lacks val2017.zip; download")


def test_unsafe_paths_in_the_inner_zip(tmp_path: Path, zips: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("../../../../out.png", b"evil")
    with zipfile.ZipFile(zips / PANOPTIC_ZIP, "w") as archive:
        archive.writestr("annotations/panoptic_val2017.zip", inner.getvalue())
    assert_refused(zips, tmp_path / "coco", "unsafe path")
    assert not list(tmp_path.rglob("out.png"))


def test_missing_source(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none", tmp_path / "coco", "is no folder, expected one with annot")
    (tmp_path / "empty").mkdir()
    assert_refused(tmp_path / "empty", tmp_path / "coco", "expected .*train2017.zip in it")


def test_layout_passes_over_hidden_files() -> None:
    names = [PurePosixPath("train2017/._a.jpg"), PurePosixPath("val2017/a.jpg")]
    assert "train2017 has no pictures, expected 2" in layout_problems(names)


def test_tool(tmp_path: Path, unpacked: Path) -> None:
    shutil.rmtree(unpacked / "annotations/panoptic_train2017")
    shutil.rmtree(unpacked / "annotations/panoptic_val2017")
    for split in ("train", "val"):
        (unpacked / f"annotations/panoptic_{split}2017.json").unlink()
    command = ("prepare_data.py", "coco", unpacked, tmp_path / "coco")
    refused = run_tool(*command, cwd=tmp_path)
    assert refused.returncode == 1 and "expected 118287" in refused.stderr
    assert "Traceback" not in refused.stderr
    done = run_tool(*command, "--allow-partial", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "coco: ready, without panoptic segments" in done.stdout
    data = json.loads((tmp_path / "coco/annotations/instances_val2017.json").read_text())
    assert len(data["images"]) == 1
