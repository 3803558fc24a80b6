"""mmseg's label maps of a test (``output_dir``), which it writes in place: never half of one."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.evaluator import BaseMetric, Evaluator


def write_whole_labels(evaluator: Evaluator) -> None:
    """Let an IoUMetric write each file into a folder of its own and move it to ``output_dir``."""
    for metric in evaluator.metrics:
        is_ious = any(base.__name__ == "IoUMetric" for base in type(metric).__mro__)
        if is_ious and metric.output_dir:
            metric.process = partial(_process, metric)


def _process(metric: BaseMetric, data_batch: Any, data_samples: Sequence[dict]) -> None:
    folder = Path(metric.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=folder) as held:
        metric.output_dir = held
        try:
            type(metric).process(metric, data_batch, data_samples)
        finally:
            metric.output_dir = str(folder)
        for file in sorted(Path(held).iterdir()):
            file.replace(folder / file.name)
