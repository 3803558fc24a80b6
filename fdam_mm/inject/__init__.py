"""FDAM for models that exist: :func:`apply_fdam` and the adapters by which it knows them.

torch is all that is needed; the shipped adapters name their classes and import nothing.
"""

from fdam_mm.errors import UnservedError

from . import families  # noqa: F401  registers the shipped adapters
from .adapter import (
    AttentionAdapter,
    BlockAdapter,
    Call,
    NoAttInv,
    Site,
    Unsupported,
    nearest,
    register_adapter,
    widths,
)
from .apply import apply_fdam
from .parameters import (
    FreezeCounts,
    fdam_parameters,
    fdam_state_dict,
    freeze_except_fdam,
    load_fdam_state_dict,
)
from .removing import remove_fdam
from .report import Insertion, Report

__all__ = [
    "AttentionAdapter",
    "BlockAdapter",
    "Call",
    "FreezeCounts",
    "Insertion",
    "NoAttInv",
    "Report",
    "Site",
    "UnservedError",
    "Unsupported",
    "apply_fdam",
    "fdam_parameters",
    "fdam_state_dict",
    "freeze_except_fdam",
    "load_fdam_state_dict",
    "nearest",
    "register_adapter",
    "remove_fdam",
    "widths",
]
