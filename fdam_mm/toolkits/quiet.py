"""Calling the toolkits without what they print."""

import contextlib
import io


def quiet() -> contextlib.AbstractContextManager:
    """Drop prints: at import, once per module, that an optional data source is missing; and the
    steps of reading a JSON."""
    return contextlib.redirect_stdout(io.StringIO())
