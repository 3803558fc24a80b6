"""How errors look on the command line."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

from fdam_mm.errors import FDAMError


def clear_errors(main: Callable[[], None]) -> Callable[[], None]:
    """Let ``main`` end with one line where a file or an argument is wrong.

    Only the errors that we recognise (:class:`fdam_mm.errors.FDAMError`) become a line. Every
    other one keeps its traceback, and with ``FDAM_DEBUG=1`` these do too.
    """

    @functools.wraps(main)
    def wrapped() -> None:
        try:
            main()
        except FDAMError as error:
            if os.environ.get("FDAM_DEBUG", "0") not in ("", "0"):
                raise
            sys.exit(f"{Path(sys.argv[0]).name}: error: {error}")

    return wrapped
