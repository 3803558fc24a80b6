"""Errors of writing."""

import errno
import os
from pathlib import Path

import pytest

from fdam_mm.errors import UsageError, WriteError
from fdam_mm.files import (
    atomic_file,
    full_disk_errors,
    new_folder,
    require_folder,
    require_new_folder,
    require_writable,
    write_atomically,
)


def test_a_full_disk_names_file_and_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "a.json", "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=rf"cannot write {tmp_path}/a.json: No space.*MiB are fr"):
        write_atomically(tmp_path / "a.json", "new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"
    with pytest.raises(WriteError, match="No space"), new_folder(tmp_path / "b") as folder:
        full(folder)
    said = f"cannot write {tmp_path}: No space"
    with pytest.raises(WriteError, match=said), full_disk_errors(tmp_path):
        full()


def test_what_cannot_be_written_is_told_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for path, said in (
        (tmp_path, "it is a folder, expected a file"),
        (tmp_path / "file/a/b.json", "file is a file, expected a folder"),
        (tmp_path / "nowhere/b.json", "nowhere is a link to nothing, expected a folder"),
    ):
        with pytest.raises(WriteError, match=said):
            require_writable(path)
    require_writable(tmp_path / "file")  # would be replaced
    require_writable(tmp_path / "a/b/c.json")
    assert not (tmp_path / "a").exists()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(WriteError, match=f"{tmp_path} may not be written to"):
        require_writable(tmp_path / "a/b/c.json")


def test_what_is_no_folder_of_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()

    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "closed"))

    said = "closed/x.json: Permission denied"
    with pytest.raises(WriteError, match=said), atomic_file(tmp_path / "closed/x.json"):
        refused()


def test_another_file_that_cannot_be_read_stays_what_it_is(tmp_path: Path) -> None:
    def unreadable() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "source.zip"))

    with pytest.raises(PermissionError, match="source.zip"), new_folder(tmp_path / "set"):
        unreadable()
    with pytest.raises(PermissionError), full_disk_errors(tmp_path):
        unreadable()


def test_folders_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    require_folder(str(tmp_path / "new/folder"), "--out")
    for path in ("file", "file/x"):
        with pytest.raises(UsageError, match=f"--out .*: {tmp_path}/file is a file"):
            require_folder(str(tmp_path / path), "--out")


def test_a_new_folder_has_nothing_in_it(tmp_path: Path) -> None:
    for free in (tmp_path, tmp_path / "new/folder"):
        require_new_folder(free, "--out")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=f"--out {tmp_path} is there and not empty"):
        require_new_folder(tmp_path, "--out")
