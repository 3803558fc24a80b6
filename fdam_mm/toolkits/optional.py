"""Packages that only a part of ours needs."""

import functools
import importlib
import warnings
from types import ModuleType

from fdam_mm.errors import MissingPackageError

from .quiet import quiet


def require(package: str, what: str, install: str | None = None) -> ModuleType:
    """Import an optional package.

    Args:
        package: Its name.
        what: What needs it, for the message.
        install: What pip installs; without it the package.

    Raises:
        MissingPackageError: It is not there; says what needs it and how to get it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingPackageError(
            f'{what} needs {package}: pip install "{install or package}"'
        ) from error


@functools.cache
def importable(module: str) -> bool:
    """Whether ``package.module`` of others imports; says once where it is there and broken."""
    try:
        with quiet():
            importlib.import_module(module)
    except Exception as error:  # a broken package raises anything
        package = module.partition(".")[0]
        if not (isinstance(error, ModuleNotFoundError) and error.name == package):
            warnings.warn(
                f"fdam_mm goes without what needs {package}: importing {module} raised "
                f"{type(error).__name__}: {error}",
                stacklevel=2,
            )
        return False
    return True
