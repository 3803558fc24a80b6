"""Reading checkpoints safely, converting foreign layouts, and fitting them into models."""

from fdam_mm.errors import CheckpointError, CheckpointMismatchError, UnsafeCheckpointError

from .converting import convert, detect
from .delta import load_delta, save_delta
from .fitting import load_pretrained, load_state
from .loading import load
from .sources import SOURCES
from .weights import unwrap

__all__ = [
    "SOURCES",
    "CheckpointError",
    "CheckpointMismatchError",
    "UnsafeCheckpointError",
    "convert",
    "detect",
    "load",
    "load_delta",
    "load_pretrained",
    "load_state",
    "save_delta",
    "unwrap",
]
