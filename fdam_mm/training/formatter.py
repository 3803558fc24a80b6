"""yapf, with which mmengine writes configs, imported by many processes at once."""

import importlib
import time
from pickle import UnpicklingError

from fdam_mm.errors import UsageError

_TRIES, _PAUSE = 20, 0.1  # in seconds


def import_formatter() -> None:
    """Import yapf, again where another process is just writing its cache.

    The first import after an installation writes a file for all later ones, and gives it its name
    before it is complete (google/yapf#1204); the processes of a training import at the same time.

    Raises:
        UsageError: The cache remains broken.
    """
    for left in reversed(range(_TRIES)):
        try:
            importlib.import_module("yapf")
            return
        except (EOFError, UnpicklingError) as error:
            if not left:
                raise UsageError(
                    f"yapf cannot read its cache ({error}): remove the folder YAPF of your user's "
                    "cache, which is ~/.cache on Linux"
                ) from error
            time.sleep(_PAUSE)
