import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections import namedtuple
from pathlib import Path, PurePosixPath

import pytest
from support.paths import ROOT, python_path

from fdam_mm.data.prepare import ade20k
from fdam_mm.data.prepare.ade20k import FOLDER, layout_problems, prepare_ade20k
from fdam_mm.errors import PreparationError

FILES = {
    f"{FOLDER}/images/training/a.jpg": b"image a" * 400,
    f"{FOLDER}/annotations/training/a.png": b"labels a" * 400,
    f"{FOLDER}/images/validation/b.jpg": b"image b" * 400,
    f"{FOLDER}/annotations/validation/b.png": b"labels b" * 400,
    f"{FOLDER}/objectInfo150.txt": b"names",
    "__MACOSX/junk": b"",
}


@pytest.fixture(autouse=True)
def small_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ade20k, "OFFICIAL_COUNTS", {"training": 1, "validation": 1})


def write_zip(file: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file


def write_folder(root: Path) -> Path:
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root / FOLDER


def assert_nothing_made(dst: Path) -> None:
    assert not dst.exists() or os.listdir(dst) == []


def test_zip(tmp_path: Path) -> None:
    src, dst = write_zip(tmp_path / "src.zip", FILES), tmp_path / "data/ade"
    assert prepare_ade20k(src, dst)
    assert (dst / FOLDER / "images/training/a.jpg").read_bytes() == b"image a" * 400
    assert (dst / FOLDER / "objectInfo150.txt").is_file()
    assert os.listdir(dst) == [FOLDER]
    assert os.stat(dst / FOLDER).st_mode & 0o777 == os.stat(dst).st_mode & 0o777


def test_complete_target_is_kept(tmp_path: Path) -> None:
    src = write_zip(tmp_path / "src.zip", FILES)
    assert prepare_ade20k(src, tmp_path / "dst")
    (tmp_path / "dst" / FOLDER / "mine.txt").write_text("keep")
    assert not prepare_ade20k(src, tmp_path / "dst")
    assert (tmp_path / "dst" / FOLDER / "mine.txt").read_text() == "keep"


def test_incomplete_target_is_refused(tmp_path: Path) -> None:
    src = write_zip(tmp_path / "src.zip", FILES)
    folder = write_folder(tmp_path / "dst")
    (folder / "images/training/a.jpg").unlink()
    with pytest.raises(PreparationError, match="move it away first"):
        prepare_ade20k(src, tmp_path / "dst")
    assert not (folder / "images/training/a.jpg").exists()


def test_broken_link_at_target_is_refused(tmp_path: Path) -> None:
    (tmp_path / FOLDER).symlink_to(tmp_path / "nowhere")
    with pytest.raises(PreparationError, match="broken link"):
        prepare_ade20k(write_zip(tmp_path / "src.zip", FILES), tmp_path)


@pytest.mark.parametrize("inner", ["", FOLDER])
def test_folder_is_linked(tmp_path: Path, inner: str) -> None:
    folder = write_folder(tmp_path / "src")
    assert prepare_ade20k(tmp_path / "src" / inner, tmp_path / "dst")
    link = tmp_path / "dst" / FOLDER
    assert link.is_symlink() and link.resolve() == folder.resolve()
    assert not prepare_ade20k(tmp_path / "src", tmp_path / "dst")


def test_incomplete_folder_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "src")
    (folder / "annotations/validation/b.png").unlink()
    with pytest.raises(PreparationError, match=r"validation/b.jpg has no annotation"):
        prepare_ade20k(folder, tmp_path / "dst")
    assert_nothing_made(tmp_path / "dst")


def test_missing_source(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="does not exist"):
        prepare_ade20k(tmp_path / "none.zip", tmp_path / "dst")


@pytest.mark.parametrize(
    "name", ["../out.txt", f"{FOLDER}/../../out.txt", "/tmp/out.txt", "..\\out.txt", "C:/out.txt"]
)
def test_unsafe_path_is_refused(tmp_path: Path, name: str) -> None:
    src = write_zip(tmp_path / "src.zip", {**FILES, name: b"evil"})
    with pytest.raises(PreparationError, match="unsafe path"):
        prepare_ade20k(src, tmp_path / "dst")
    assert_nothing_made(tmp_path / "dst")
    assert not (tmp_path / "out.txt").exists()


def test_link_in_zip_is_refused(tmp_path: Path) -> None:
    src = write_zip(tmp_path / "src.zip", FILES)
    link = zipfile.ZipInfo(f"{FOLDER}/images/evil")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(src, "a") as archive:
        archive.writestr(link, "/etc")
    with pytest.raises(PreparationError, match="holds the link"):
        prepare_ade20k(src, tmp_path / "dst")
    assert_nothing_made(tmp_path / "dst")


def test_truncated_zip(tmp_path: Path) -> None:
    src = write_zip(tmp_path / "src.zip", FILES)
    src.write_bytes(src.read_bytes()[:-200])
    with pytest.raises(PreparationError, match="broken or not a zip.*download it again"):
        prepare_ade20k(src, tmp_path / "dst")
    assert_nothing_made(tmp_path / "dst")


def test_damaged_member(tmp_path: Path) -> None:
    src = write_zip(tmp_path / "src.zip", FILES)
    src.write_bytes(src.read_bytes().replace(b"image b", b"imXge b", 1))
    with pytest.raises(PreparationError, match="broken or not a zip"):
        prepare_ade20k(src, tmp_path / "dst")
    assert_nothing_made(tmp_path / "dst")


def test_too_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(free=100))
    with pytest.raises(PreparationError, match="GB free, expected at least"):
        prepare_ade20k(write_zip(tmp_path / "src.zip", FILES), tmp_path / "dst")
    assert_nothing_made(tmp_path / "dst")


def test_count_differs_from_the_official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ade20k, "OFFICIAL_COUNTS", {"training": 20210, "validation": 2000})
    src = write_zip(tmp_path / "src.zip", FILES)
    with pytest.raises(PreparationError, match="1 pictures, expected 20210.*--allow-partial"):
        prepare_ade20k(src, tmp_path / "dst")
    assert prepare_ade20k(src, tmp_path / "dst", allow_partial=True)
    assert not prepare_ade20k(src, tmp_path / "dst", allow_partial=True)


def test_layout_problems_name_both_directions() -> None:
    names = ["images/training/a.jpg", "annotations/training/c.png", "images/validation/b.jpg"]
    names += ["annotations/validation/b.png", "images/training/._a.jpg"]
    problems = layout_problems(PurePosixPath(name) for name in names)
    assert problems == [
        "images/training/a.jpg has no annotation, expected annotations/training/a.png",
        "annotations/training/c.png has no image, expected images/training/c.jpg",
    ]


def test_no_pictures_is_never_a_part() -> None:
    problems = layout_problems([], allow_partial=True)
    assert [line.split(",")[0] for line in problems] == [
        "images/training has no pictures",
        "images/validation has no pictures",
    ]


def test_tool(tmp_path: Path) -> None:
    src = write_zip(tmp_path / "src.zip", FILES)
    command = [sys.executable, "tools/prepare_data.py", "ade20k", str(src), str(tmp_path / "dst")]
    env = {**os.environ, "PYTHONPATH": python_path()}
    refused = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert refused.returncode == 1
    assert (
        refused.stderr.startswith("prepare_data.py: error: ") and "Traceback" not in refused.stderr
    )
    done = subprocess.run(
        [*command, "--allow-partial"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0 and "ready" in done.stdout
