"""Training: the runner, hooks, parameter groups, and what the command-line tools share."""

from fdam_mm.toolkits.patches.atomic_backend import AtomicLocalBackend
from fdam_mm.toolkits.patches.everywhere import patch_toolkits

from .atomic_vis import AtomicVisBackend
from .checkpoint_hook import SafeCheckpointHook
from .fine_tuning import FineTuningHook
from .finite import FiniteHook
from .flexible_runner import FDAMFlexibleRunner
from .history import BoundedHistoryHook
from .hooks import MeanLossHook
from .interrupting import InterruptHook
from .layer_decay import FDAMOptimWrapperConstructor
from .precision import BFloat16OptimWrapper
from .resuming import MissedValidationHook, ResumingHook
from .runner import FDAMRunner
from .sharded_runner import FDAMShardedRunner
from .spectrum_hook import SpectrumHook
from .two_stage_poly import TwoStageWarmupPolyLR
from .waiting_gradients import WaitingGradientsHook

__all__ = [
    "AtomicLocalBackend",
    "AtomicVisBackend",
    "BFloat16OptimWrapper",
    "BoundedHistoryHook",
    "FDAMFlexibleRunner",
    "FDAMOptimWrapperConstructor",
    "FDAMRunner",
    "FDAMShardedRunner",
    "FineTuningHook",
    "FiniteHook",
    "InterruptHook",
    "MeanLossHook",
    "SafeCheckpointHook",
    "SpectrumHook",
    "TwoStageWarmupPolyLR",
    "WaitingGradientsHook",
    "MissedValidationHook",
    "ResumingHook",
]

patch_toolkits()
