"""The server of the page, on this machine alone unless it is told otherwise."""

import errno
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from fdam_mm.errors import UsageError
from fdam_mm.toolkits.optional import require

from .bounded import Bounded
from .models import Served
from .uploads import MAX_BYTES

HOST = "127.0.0.1"
_FONT = ("system-ui", "sans-serif")


@contextmanager
def serving(
    models: Mapping[str, Served], host: str = HOST, port: int | None = None
) -> Iterator[str]:
    """While it is open, the page is served; gives its address.

    What browsers send is written to a temporary folder, which goes at the end. Nothing is sent
    anywhere: no analytics, no shared link, no fonts of others.

    Raises:
        MissingPackageError: The extra ``[demo]`` is not installed.
        UsageError: The address cannot be served.
    """
    free = require_address(host, port)
    with tempfile.TemporaryDirectory(prefix="fdam_demo_", ignore_cleanup_errors=True) as folder:
        settings = dict(GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED="False")
        settings["NO_PROXY"] = settings["no_proxy"] = f"{_without_proxy()}localhost,{host}"
        with patch.dict(os.environ, settings):
            gradio = import_gradio()
            from starlette.middleware import Middleware

            from .page import STYLE, build_page

            page = build_page(models)
            theme = gradio.themes.Default(font=_FONT, font_mono=("ui-monospace", "monospace"))
            _, address, _ = page.launch(
                server_name=host, server_port=free, prevent_thread_lock=True, quiet=True,
                share=False, inline=False, inbrowser=False, footer_links=[], run_history=False,
                max_file_size=MAX_BYTES, enable_monitoring=False, ssr_mode=False, pwa=False,
                mcp_server=False, allowed_paths=None, theme=theme, css=STYLE,
                app_kwargs=dict(middleware=[Middleware(Bounded, folder=Path(folder))]),
            )  # fmt: skip
            try:
                yield address
            finally:
                page.close(verbose=False)


def import_gradio():  # type: ignore[no-untyped-def]
    """The package gradio.

    Raises:
        MissingPackageError: It is not installed; says how.
    """
    return require("gradio", "the page", "fdam_mm[demo]")


def require_address(host: str, port: int | None) -> int:
    """The port to serve at, of None the first free one from 7860 on.

    Raises:
        UsageError: It cannot be served.
    """
    ports = range(7860, 7960) if port is None else [port]
    for candidate in ports:
        try:
            with socket.create_server((host, candidate)) as probe:
                return probe.getsockname()[1]
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno != errno.EADDRINUSE:
                break  # the address itself
    said = f"port {port} of {host}" if port is not None else f"no port of {host} from 7860 to 7959"
    raise UsageError(
        f"{said} cannot be served ({reason}); name another with --port, or leave out --host"
    )


def _without_proxy() -> str:
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    return f"{known}," if known else ""
