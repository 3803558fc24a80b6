"""What ``fdam test`` asks of a config before it evaluates."""

import pytest
from mmengine.config import Config

from fdam_mm.cli import test as tool
from fdam_mm.errors import UsageError


def test_out_takes_one_evaluator() -> None:
    metric = dict(type="IoUMetric", iou_metrics=["mIoU"])
    for evaluator in (metric, [metric]):
        config = Config(dict(default_scope="mmseg", test_evaluator=evaluator))
        tool.require_one_evaluator(config)
        tool.save_predictions(config, "labels")
        assert config.test_evaluator == {**metric, "output_dir": "labels", "keep_results": True}
    for evaluators in ([metric, metric], []):
        with pytest.raises(UsageError, match=f"one test_evaluator .* has {len(evaluators)}"):
            tool.require_one_evaluator(Config(dict(test_evaluator=evaluators)))


def test_pictures_need_a_hook_and_a_visualizer() -> None:
    hook, visualizer = dict(type="SegVisualizationHook"), dict(type="SegLocalVisualizer")
    whole = dict(default_hooks=dict(visualization=hook), visualizer=visualizer)
    tool.require_visualization(Config(whole))
    for lacking in (dict(default_hooks={}), dict(default_hooks=dict(visualization=None))):
        with pytest.raises(UsageError, match="needs default_hooks.visualization in the config"):
            tool.require_visualization(Config(whole | lacking))
    with pytest.raises(UsageError, match="visualizer and default_hooks.visualization"):
        tool.require_visualization(Config(dict(model={})))
