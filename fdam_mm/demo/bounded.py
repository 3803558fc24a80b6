"""What a server of the page accepts: the requests that the page makes, of bounded size."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from .uploads import MAX_BYTES

MAX_STORED = 1 << 30  # bytes that all uploads and drawings together may take
_POSTS = ("/upload", "/queue/join", "/cancel", "/reset")
_AROUND = 1 << 16  # bytes of an upload's form around its file

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Bounded:
    """ASGI middleware: refuses what is too large, and what the page never asks for.

    gradio bounds each file; this bounds a request of many, what all of them take on the disk, and
    leaves out gradio's routes that fetch, record or monitor.

    Args:
        app: The page.
        folder: Where uploads are written.
    """

    def __init__(self, app: App, folder: Path) -> None:
        self.app, self.folder = app, folder

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
        elif not scope["path"].rstrip("/").endswith(_POSTS):
            await _refuse(send, 404, "no such request")
        elif self._declared(scope) > MAX_BYTES + _AROUND:
            await _refuse(send, 413, f"too large, expected at most {MAX_BYTES >> 20} MiB")
        elif scope["path"].rstrip("/").endswith("/upload") and stored(self.folder) > MAX_STORED:
            await _refuse(send, 503, "too many pictures are kept; try again in half an hour")
        else:
            await self.app(scope, receive, send)

    @staticmethod
    def _declared(scope: Message) -> float:
        """Bytes of the body; a body in chunks, which no browser sends here, counts as endless."""
        headers = dict(scope["headers"])
        if b"transfer-encoding" in headers:
            return float("inf")
        length = headers.get(b"content-length", b"0")
        return int(length) if length.isdigit() else float("inf")


def stored(folder: Path) -> int:
    """Bytes of all files below a folder."""
    sizes = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                sizes += os.stat(os.path.join(root, name)).st_size
            except FileNotFoundError:  # deleted meanwhile
                continue
    return sizes


async def _refuse(send: Send, status: int, reason: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reason.encode()})
