"""Foreign checkpoint layouts: one module per layout, tried in this order."""

from . import deit, fdam, lsknet, mmseg, nvlabs_mit, timm

SOURCES = {
    "fdam": fdam,
    "mmseg": mmseg,
    "timm": timm,
    "deit": deit,
    "nvlabs_mit": nvlabs_mit,
    "lsknet": lsknet,
}
"""Layouts by name. Each module has ``matches(state)`` and ``convert(state)``."""
