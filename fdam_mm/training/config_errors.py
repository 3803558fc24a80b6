"""One clear line for what goes wrong while a config is read or built."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mmengine

from fdam_mm.errors import FDAMError, UsageError

_MACHINERY = (mmengine.__path__[0], str(Path(__file__).parent))


@contextmanager
def config_errors(what: str) -> Iterator[None]:
    """Turn an error inside into one line; it is the config's, or of code that the config names.

    Args:
        what: The file or the keys that are read, to begin the line with.

    Raises:
        UsageError: Says what, the error, and the line of code where it arose, if that is neither
            mmengine's nor of this folder.
        FDAMError: Those that are clear already pass.
    """
    try:
        yield
    except FDAMError:
        raise
    except Exception as error:
        raise UsageError(f"{what}: {_in_one_line(error)}") from error


def _in_one_line(error: Exception) -> str:
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    message = message.strip().partition("\n")[0].partition(" More details can be found")[0]
    frames = traceback.extract_tb(error.__traceback__)
    named = [frame for frame in frames if not frame.filename.startswith(_MACHINERY)]
    place = f" ({named[-1].filename}:{named[-1].lineno})" if named else ""
    return f"{type(error).__name__}: {message}{place}"
