"""Foreign checkpoint layouts: one module per layout, tried in this order."""

from . import (
    crossformer,
    deit,
    fdam,
    l2vit,
    lsknet,
    mask_dino,
    mmseg,
    nat,
    nvlabs_mit,
    stvit,
    timm,
    vmamba,
)

SOURCES = {
    "fdam": fdam,
    "mask_dino": mask_dino,
    "mmseg": mmseg,
    "timm": timm,
    "deit": deit,
    "nvlabs_mit": nvlabs_mit,
    "lsknet": lsknet,
    "l2vit": l2vit,
    "nat": nat,
    "crossformer": crossformer,
    "stvit": stvit,
    "vmamba": vmamba,
}
"""Layouts by name. Each module has ``matches(state)`` and ``convert(state)``."""
