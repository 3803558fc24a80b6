"""fdam_mm: Frequency-Dynamic Attention Modulation for OpenMMLab.

Importing the package registers its models, hooks and optimizer constructor in mmengine's root
registry, where mmengine is installed; ``fdam_mm.layers`` needs torch alone.
"""

from importlib.util import find_spec

__version__ = "0.1.0"

if find_spec("mmengine"):
    from . import engine, models  # noqa: F401
