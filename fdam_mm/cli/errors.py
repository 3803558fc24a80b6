"""How errors look on the command line."""

import functools
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

from fdam_mm.errors import FDAMError, TrainingInterrupted

REPORTS = "FDAM_ERROR_REPORTS"
"""Environment variable: the folder in which the processes of one run leave what ended them, so
that :mod:`fdam_mm.cli.launch` can say it once."""


_Arguments = ParamSpec("_Arguments")


def clear_errors(main: Callable[_Arguments, int | None]) -> Callable[_Arguments, int | None]:
    """Let ``main`` end with one line where a file or an argument is wrong.

    Only the errors that we recognise (:class:`fdam_mm.errors.FDAMError`) become a line. Every
    other one keeps its traceback, and with ``FDAM_DEBUG=1`` these do too. The exit code is 1.
    """

    @functools.wraps(main)
    def wrapped(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> int | None:
        try:
            return main(*args, **kwargs)
        except TrainingInterrupted as error:
            if os.environ.get("RANK", "0") == "0":  # the others end with the same words
                sys.stderr.write(f"{Path(sys.argv[0]).name}: {error}\n")
            from fdam_mm.training.teardown import end_together  # loaded by now

            end_together(error.exit_code)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            if debugging():
                raise
            sys.stderr.write(f"{Path(sys.argv[0]).name}: interrupted\n")
            sys.exit(128 + signal.SIGINT)
        except Exception as error:
            folder = os.environ.get(REPORTS)
            is_clear = isinstance(error, FDAMError) and not debugging()
            if not is_clear and not folder:
                raise
            line = f"{Path(sys.argv[0]).name}: error: {error}"
            text = line if is_clear else traceback.format_exc().rstrip()
            if not folder:
                sys.exit(text)
            leave_report(Path(folder), text)
            sys.exit(1)

    return wrapped


def debugging() -> bool:
    """Whether every error shall show its traceback."""
    return os.environ.get("FDAM_DEBUG", "0") not in ("", "0")


def leave_report(folder: Path, text: str) -> None:
    """Leave what ends this process, in the order of time."""
    name = f"{time.time_ns():020d}.{os.environ.get('RANK', '0')}"
    (folder / name).write_text(text, encoding="utf-8")
