"""The best score is a finite number.

Seen in mmengine 0.10.12: an infinite score would stay the best for good, and nothing is better
than a nan.
"""

import math
from collections.abc import Callable

from mmengine.hooks import CheckpointHook


def compare_finite_scores_alone(hook: CheckpointHook) -> None:
    """Let a hook with ``save_best`` pass over scores that are not finite."""

    def of_finite(better: Callable[[float, float], bool]) -> Callable[[float, float], bool]:
        return lambda new, best: math.isfinite(new) and (math.isnan(best) or better(new, best))

    hook.rule_map = {rule: of_finite(better) for rule, better in hook.rule_map.items()}
    hook.is_better_than = {key: of_finite(rule) for key, rule in hook.is_better_than.items()}
