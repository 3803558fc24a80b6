"""Calling the toolkits without what they always print."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TextIO

_KNOWN = (  # how the lines begin
    "Could not import OneDL",  # at import, once per module: an optional source of data
    "loading annotations into memory",  # pycocotools, of every JSON
    "Done (t=",
    "creating index",
    "index created",
    "Loading and preparing results",
    "DONE (t=",
)


class _WithoutKnownLines:
    """A stream that passes everything on but the known lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._line = stream, ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if not line.startswith(_KNOWN):
                self._stream.write(f"{line}\n")
        return len(text)

    def close_line(self) -> None:
        """Pass on what has no end of line yet."""
        self._stream.write(self._line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop the lines that the toolkits print whenever they are imported or read a JSON.

    What a user's own module or config prints meanwhile is shown.
    """
    filtered = _WithoutKnownLines(sys.stdout)
    with contextlib.redirect_stdout(filtered):
        yield
    filtered.close_line()
