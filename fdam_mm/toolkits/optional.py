"""Packages that only a part of ours needs."""

import functools
import importlib
import warnings

from .quiet import quiet


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
