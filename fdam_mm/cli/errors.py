"""How errors look on the command line."""

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from fdam_mm.errors import FDAMError, TrainingInterrupted


def clear_errors(main: Callable[[], None]) -> Callable[[], None]:
    """Let ``main`` end with one line where a file or an argument is wrong.

    Only the errors that we recognise (:class:`fdam_mm.errors.FDAMError`) become a line. Every
    other one keeps its traceback, and with ``FDAM_DEBUG=1`` these do too.
    """

    @functools.wraps(main)
    def wrapped() -> None:
        debug = os.environ.get("FDAM_DEBUG", "0") not in ("", "0")
        try:
            main()
        except TrainingInterrupted as error:
            if os.environ.get("RANK", "0") == "0":  # the others end with the same words
                sys.stderr.write(f"{Path(sys.argv[0]).name}: {error}\n")
            from fdam_mm.training.teardown import end_together  # loaded by now

            end_together(error.exit_code)
            sys.exit(error.exit_code)
        except FDAMError as error:
            if debug:
                raise
            sys.exit(f"{Path(sys.argv[0]).name}: error: {error}")
        except KeyboardInterrupt:
            if debug:
                raise
            sys.stderr.write(f"{Path(sys.argv[0]).name}: interrupted\n")
            sys.exit(128 + signal.SIGINT)

    return wrapped
