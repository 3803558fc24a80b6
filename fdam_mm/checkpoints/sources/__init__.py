"""Foreign checkpoint layouts: one module per layout, tried in this order."""

from . import deit, fdam, mmseg, timm

SOURCES = {"fdam": fdam, "mmseg": mmseg, "timm": timm, "deit": deit}
"""Layouts by name. Each module has ``matches(state)`` and ``convert(state)``."""
