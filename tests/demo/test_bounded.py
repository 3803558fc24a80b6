"""What the server of the page refuses by itself."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fdam_mm.demo import bounded
from fdam_mm.demo.bounded import Bounded
from fdam_mm.demo.uploads import MAX_BYTES


def status(folder: Path, path: str, method: str = "POST", **headers: str) -> int:
    """The answer's; 200 where the request reaches the page."""
    sent: list[Any] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }
    asyncio.run(Bounded(page, folder)(scope, None, send))  # type: ignore[arg-type]
    return sent[0]["status"]


def test_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = "/gradio_api/upload"
    assert status(tmp_path, upload, content_length="1000") == 200
    assert status(tmp_path, "/", "GET") == 200
    assert status(tmp_path, upload, content_length=str(2 * MAX_BYTES)) == 413
    assert status(tmp_path, upload, transfer_encoding="chunked") == 413
    assert status(tmp_path, "/gradio_api/process_recording") == 404
    (tmp_path / "kept").write_bytes(bytes(100))
    monkeypatch.setattr(bounded, "MAX_STORED", 99)
    assert status(tmp_path, upload, content_length="1000") == 503
    assert status(tmp_path, "/gradio_api/queue/join", content_length="10") == 200
