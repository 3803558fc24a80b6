"""Files made to harm: what is refused before it grows."""

import json
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from fdam_mm.checkpoints import load
from fdam_mm.errors import CheckpointError


def repack(source: Path, target: Path, compression: int) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_compressed_records(tmp_path: Path, compression: int) -> None:
    torch.save(dict(a=torch.zeros(1 << 20)), tmp_path / "plain.pth")
    repack(tmp_path / "plain.pth", tmp_path / "bomb.pth", compression)
    assert (tmp_path / "bomb.pth").stat().st_size < 100_000
    with pytest.raises(CheckpointError, match=r"bomb.pth: its record '\S+' is compressed"):
        load(tmp_path / "bomb.pth")
    repack(tmp_path / "plain.pth", tmp_path / "stored.pth", zipfile.ZIP_STORED)
    assert len(load(tmp_path / "stored.pth")["a"]) == 1 << 20


def test_records_longer_than_the_file(tmp_path: Path) -> None:
    torch.save(dict(a=torch.zeros(4)), tmp_path / "a.pth")
    data = bytearray((tmp_path / "a.pth").read_bytes())
    with zipfile.ZipFile(tmp_path / "a.pth") as archive:
        where = archive.start_dir
    data[where + 20 : where + 28] = struct.pack("<II", 1 << 30, 1 << 30)
    (tmp_path / "a.pth").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"a.pth \(\d+ bytes\) claims records of \d+ bytes"):
        load(tmp_path / "a.pth")


@pytest.mark.parametrize("offset", [0, 10, 40])
def test_broken_zip_directories(tmp_path: Path, offset: int) -> None:
    file = tmp_path / "a.pth"
    torch.save(dict(a=torch.zeros(4)), file)
    data = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        where = archive.start_dir + offset
    data[where : where + 4] = b"\xff\xff\xff\xff"
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"a.pth"):
        load(file)


@pytest.mark.parametrize(
    "header",
    [
        b"\xff" * 8,
        struct.pack("<Q", 1 << 40) + b"{}",
        struct.pack("<Q", 50) + b"{}",
        *(
            struct.pack("<Q", len(text)) + text.encode() + bytes(16)
            for text in (
                json.dumps(dict(a=dict(dtype="F32", shape=shape, data_offsets=offsets)))
                for shape, offsets in (
                    ([1 << 40], [0, 1 << 42]),
                    ([4], [0, 1 << 20]),
                    ([4], [-4, 12]),
                    ([8], [0, 16]),
                    ([2], [0, 16]),
                    ([1 << 62, 8], [0, 16]),
                    ("four", [0, 16]),
                )
            )
        ),
    ],
)
def test_safetensors_headers_that_lie(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(header)
    with pytest.raises(CheckpointError, match=r"a.safetensors .* is not a complete checkpoint"):
        load(tmp_path / "a.safetensors")
