"""fdam_mm: Frequency-Dynamic Attention Modulation for vision backbones.

This, ``fdam_mm.layers`` and ``fdam_mm.inject`` need torch and import nothing else, whatever is
installed. ``fdam_mm.openmmlab`` registers the models and all else for OpenMMLab's toolkits.
"""

from .inject import apply_fdam, register_adapter
from .version import __version__

__all__ = ["__version__", "apply_fdam", "register_adapter"]
