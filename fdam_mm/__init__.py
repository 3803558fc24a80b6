"""fdam_mm: Frequency-Dynamic Attention Modulation for vision backbones.

This, ``fdam_mm.layers`` and ``fdam_mm.inject`` need torch and import nothing else, whatever is
installed. ``fdam_mm.openmmlab`` registers the models and all else for OpenMMLab's toolkits.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from . import inject, layers
    from .inject import (
        apply_fdam,
        fdam_parameters,
        fdam_state_dict,
        freeze_except_fdam,
        load_fdam_state_dict,
        register_adapter,
        remove_fdam,
    )

__all__ = [
    "__version__",
    "apply_fdam",
    "fdam_parameters",
    "fdam_state_dict",
    "freeze_except_fdam",
    "inject",
    "layers",
    "load_fdam_state_dict",
    "register_adapter",
    "remove_fdam",
]


def __getattr__(name: str) -> Any:
    """What needs torch comes when it is asked for: ``fdam --help`` shall not wait seconds."""
    if name in ("inject", "layers"):
        return importlib.import_module(f".{name}", __name__)
    if name in __all__:
        return getattr(importlib.import_module(".inject", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
