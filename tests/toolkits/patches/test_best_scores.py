"""Best scores that are no numbers."""

import math

from mmengine.hooks import CheckpointHook

from fdam_mm.toolkits.patches.best_scores import compare_finite_scores_alone


def test_upstream_keeps_a_nan_as_the_best() -> None:
    greater = CheckpointHook.rule_map["greater"]
    assert not greater(1.0, math.nan) and greater(math.inf, 1.0)


def test_finite_scores_alone_become_the_best() -> None:
    hook = CheckpointHook(save_best="score", rule="greater")
    compare_finite_scores_alone(hook)
    for better in (hook.rule_map["greater"], hook.is_better_than["score"]):
        assert better(1.0, math.nan) and better(2.0, 1.0)
        assert not better(math.inf, 1.0) and not better(math.nan, 1.0) and not better(0.0, 1.0)
    assert CheckpointHook.rule_map["greater"](math.inf, 1.0)  # of other hooks
