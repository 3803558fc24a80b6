"""Registering the types of OpenMMLab's toolkits."""

import importlib

from .quiet import quiet

TOOLKITS = ("mmseg", "mmdet", "mmrotate")


def register_toolkit(scope: str) -> None:
    """Register all types of a toolkit (``mmseg``, ``mmdet`` or ``mmrotate``)."""
    if scope == "mmrotate":
        register_toolkit("mmdet")
    with quiet():
        utils = importlib.import_module(f"{scope}.utils")
        utils.register_all_modules(init_default_scope=False)
