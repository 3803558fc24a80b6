"""Importing the toolkits without their messages."""

import contextlib
import io


def quiet_imports() -> contextlib.AbstractContextManager:
    """At import the toolkits print, once per module, that an optional data source is missing."""
    return contextlib.redirect_stdout(io.StringIO())
