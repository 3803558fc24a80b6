"""fdam_mm: Frequency-Dynamic Attention Modulation for OpenMMLab.

Importing the package registers its models, hooks and optimizer constructor in mmengine's root
registry, where mmengine is installed; ``fdam_mm.layers`` and ``fdam_mm.apply_fdam`` need torch
alone.
"""

from importlib.util import find_spec

from .inject import apply_fdam, register_adapter
from .version import __version__

if find_spec("mmengine"):
    from . import models, oriented, training  # noqa: F401

__all__ = ["__version__", "apply_fdam", "register_adapter"]
