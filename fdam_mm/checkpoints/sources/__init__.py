"""Foreign checkpoint layouts: one module per layout, tried in this order."""

from . import (
    attnet,
    crossformer,
    deit,
    eomt,
    fdam,
    l2vit,
    lsknet,
    mambavision,
    mask_dino,
    mmseg,
    nat,
    nvlabs_mit,
    sgformer,
    soft,
    stvit,
    timm,
    vmamba,
)

SOURCES = {
    "fdam": fdam,
    "mask_dino": mask_dino,
    "eomt": eomt,
    "mmseg": mmseg,
    "timm": timm,
    "deit": deit,
    "soft": soft,
    "sgformer": sgformer,
    "nvlabs_mit": nvlabs_mit,  # after these two, whose last stages are like its
    "lsknet": lsknet,
    "l2vit": l2vit,
    "nat": nat,
    "crossformer": crossformer,
    "stvit": stvit,
    "vmamba": vmamba,
    "attnet": attnet,
    "mambavision": mambavision,
}
"""Layouts by name. Each module has ``matches(state)`` and ``convert(state)``."""
