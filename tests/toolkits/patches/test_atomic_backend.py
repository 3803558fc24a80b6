"""Atomic writes."""

import os
from pathlib import Path

import pytest
from mmengine.fileio import LocalBackend, get_file_backend


def test_writes_whole_files_with_ordinary_rights(tmp_path: Path) -> None:
    backend = get_file_backend(backend_args=dict(backend="atomic_local"))
    backend.put(b"first", tmp_path / "a" / "x.pth")
    backend.put(b"second", tmp_path / "a" / "x.pth")
    assert (tmp_path / "a" / "x.pth").read_bytes() == b"second"
    (tmp_path / "plain").touch()
    assert (tmp_path / "a" / "x.pth").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_upstream_writes_in_place(tmp_path: Path) -> None:
    """A second name of the file sees the write, half of it too; atomically it would not."""
    for backend, second in ((LocalBackend(), b"new"), (get_file_backend("x.pth"), b"old")):
        file, name = tmp_path / "file", tmp_path / "name"
        file.write_bytes(b"old")
        os.link(file, name)
        backend.put(b"new", file)
        assert name.read_bytes() == second and file.read_bytes() == b"new"
        name.unlink()


def test_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = get_file_backend(backend_args=dict(backend="atomic_local"))
    backend.put(b"first", tmp_path / "x.pth")

    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        backend.put(b"second", tmp_path / "x.pth")
    assert [p.name for p in tmp_path.iterdir()] == ["x.pth"]
    assert (tmp_path / "x.pth").read_bytes() == b"first"
