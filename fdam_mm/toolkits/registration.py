"""Registering the types of OpenMMLab's toolkits."""

import importlib

from .patches.rotated_ap import compute_rotated_ap_here
from .quiet import quiet

TOOLKITS = ("mmseg", "mmdet", "mmrotate")


def register_toolkit(scope: str) -> None:
    """Register all types of a toolkit (``mmseg``, ``mmdet`` or ``mmrotate``)."""
    if scope == "mmrotate":
        register_toolkit("mmdet")
    with quiet():
        utils = importlib.import_module(f"{scope}.utils")
        utils.register_all_modules(init_default_scope=False)
    if scope == "mmrotate":
        compute_rotated_ap_here()
