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
from .report import Insertion, Report

__all__ = [
    "AttentionAdapter",
    "BlockAdapter",
    "Call",
    "Insertion",
    "NoAttInv",
    "Report",
    "Site",
    "UnservedError",
    "Unsupported",
    "apply_fdam",
    "nearest",
    "register_adapter",
    "widths",
]
