"""Addresses: what comes from a server of our own, and what is said where it does not."""

import hashlib
import io
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from fdam_mm.checkpoints import fetching, load
from fdam_mm.errors import CheckpointError


def weights() -> bytes:
    file = io.BytesIO()
    torch.save(dict(a=torch.ones(100)), file)
    return file.getvalue()


BODY = weights()
NAMED = f"/weights-{hashlib.sha256(BODY).hexdigest()[:8]}.pth"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if "missing" in self.path:
            self.send_error(404)
            return
        if "silent" in self.path:
            self.server.released.wait(10)
            return
        if "reset" in self.path:  # an RST in place of an end
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return
        if "garbage" in self.path:
            self.wfile.write(b"\0\1\2 no http\r\n\r\n")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[: len(BODY) // 2] if "truncated" in self.path else BODY)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.released = threading.Event()
        thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(fetching, "_SILENCE", 0.3)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "checkpoints"


def test_whole_files(address: str, cache: Path) -> None:
    """Addresses with the same file name are two files; a second reading needs no server."""
    for folder in ("a", "b", "a"):
        assert load(f"{address}/{folder}/model_final.pth")["a"].sum() == 100
    assert len(list(cache.iterdir())) == 2
    load(address + NAMED)
    load(f"{address}/vit-20221014.pth?raw=true")  # a date is no hash
    assert (cache / NAMED[1:]).read_bytes() == BODY


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/missing.pth", "404"),
        ("/silent.pth", "timed out"),
        ("/reset.pth", "."),
        ("/garbage.pth", "."),
        ("/truncated.pth", f"broke off after {len(BODY) // 2} of {len(BODY)} bytes"),
        ("/weights-0123abcd.pth", "its name says 0123abcd"),
    ],
)
def test_servers_that_fail(address: str, cache: Path, path: str, message: str) -> None:
    with pytest.raises(
        CheckpointError, match=rf"cannot fetch \S+{path[-8:]}: .*{message}"
    ) as info:
        load(address + path)
    assert "put it to" in str(info.value) and "\n" not in str(info.value)
    assert not cache.exists() or not list(cache.iterdir())


@pytest.mark.parametrize(
    "address",
    [
        "http://",
        "http:///a.pth",
        "http://[::1/a.pth",
        "http://127.0.0.1:port/a.pth",
        "http://127.0.0.1:99999/a.pth",
        "http://127.0.0.1:1/a b.pth",
        "https://\x00/a.pth",
    ],
)
def test_malformed_addresses(address: str) -> None:
    with pytest.raises(CheckpointError, match="cannot fetch http"):
        load(address)


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/a.pth",
        "ftp://host/a.pth",
        "file:///a.pth",
        "open-mmlab://resnet50",
        "hf-hub://a",
    ],
)
def test_other_schemes(address: str) -> None:
    scheme = address.partition("://")[0]
    with pytest.raises(CheckpointError, match=f"addresses with {scheme}:// are not read.*path"):
        load(address)
