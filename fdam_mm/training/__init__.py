"""Training: the runner, hooks, parameter groups, and what the command-line tools share."""

from fdam_mm.toolkits.packaged_configs import find_packaged_configs

from .atomic_backend import AtomicLocalBackend
from .finite import FiniteHook
from .hooks import MeanLossHook
from .layer_decay import FDAMOptimWrapperConstructor
from .precision import BFloat16OptimWrapper
from .runner import FDAMRunner

__all__ = [
    "AtomicLocalBackend",
    "BFloat16OptimWrapper",
    "FDAMOptimWrapperConstructor",
    "FDAMRunner",
    "FiniteHook",
    "MeanLossHook",
]

find_packaged_configs()
