"""fdam_mm: Frequency-Dynamic Attention Modulation for vision backbones.

This, ``fdam_mm.layers`` and ``fdam_mm.inject`` need torch and import nothing else, whatever is
installed. ``fdam_mm.openmmlab`` registers the models and all else for OpenMMLab's toolkits.
"""

from .inject import (
    apply_fdam,
    fdam_parameters,
    fdam_state_dict,
    freeze_except_fdam,
    load_fdam_state_dict,
    register_adapter,
    remove_fdam,
)
from .version import __version__

__all__ = [
    "__version__",
    "apply_fdam",
    "fdam_parameters",
    "fdam_state_dict",
    "freeze_except_fdam",
    "load_fdam_state_dict",
    "register_adapter",
    "remove_fdam",
]
