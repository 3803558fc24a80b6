"""Upstream's own code in a process in which it is patched."""

import importlib.util
from types import ModuleType


def pristine(name: str) -> ModuleType:
    """A second copy of a module, as it is installed; what it registers, it registers in itself."""
    spec = importlib.util.find_spec(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
