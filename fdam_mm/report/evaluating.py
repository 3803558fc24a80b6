"""One pass over a run's test data, as ``fdam test`` makes it, with more counted."""

import tempfile
import uuid
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tqdm import tqdm

from fdam_mm.data.loading.raster import loads_bands
from fdam_mm.errors import UsageError
from fdam_mm.toolkits.patches.default_scope import RunScopes
from fdam_mm.toolkits.scope import scope_of
from fdam_mm.training.building import build_runner
from fdam_mm.training.config import require_data, require_parts
from fdam_mm.visualization.colours import Colour, full_palette

from .collecting import Collector, ObjectCollector, PixelCollector, iou
from .precision_recall import PrecisionRecall, kept_curves


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a checkpoint does on a data set.

    Attributes:
        classes, palette: By label.
        metrics: Those of the config's evaluators, as ``fdam test`` says them.
        by_class: Columns (K,) by name; nan where a class has nothing to measure.
        confusion: (K, K) pixels, or (K + 1, K + 1) objects, whose last row has no true object and
            whose last column no prediction.
        curves: Of detectors.
        files: The pictures, in order.
        scores: (N,) one for each picture, from 0 to 1.
        dataset: The test data.
    """

    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    metrics: dict[str, float]
    by_class: dict[str, np.ndarray]
    confusion: np.ndarray
    curves: list[PrecisionRecall]
    files: list[str]
    scores: np.ndarray
    dataset: Any

    @property
    def counts_pixels(self) -> bool:
        """Whether it is of a segmentor, not of a detector."""
        return len(self.confusion) == len(self.classes)

    @property
    def there(self) -> list[int]:
        """Labels of the classes that the pictures have, or that were predicted."""
        counted = self.confusion.sum(0) + self.confusion.sum(1)
        found = counted[: len(self.classes)] > 0
        for name, values in self.by_class.items():
            if name not in ("objects", "share of pixels"):
                found |= ~np.isnan(values)
        return np.flatnonzero(found).tolist()

    @property
    def reads_bands(self) -> bool:
        """Whether the pictures have bands or depths of their own."""
        return loads_bands(self.dataset)


def evaluate(config: Config, checkpoint: str | Path, split: str = "test") -> Evaluation:
    """Test a checkpoint and count.

    Args:
        config: Not changed.
        checkpoint: File.
        split: ``test``, or ``val`` for the data of the validation.

    Raises:
        UsageError: The split has no labels, or its data are not there.
    """
    config = _prepared(config.copy(), checkpoint, split)
    scopes = RunScopes()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):  # of their tables
        config.work_dir = folder
        try:
            with scopes.set_here():
                runner = build_runner(config)
            return _run(runner)
        finally:
            scopes.take_back()


def _prepared(config: Config, checkpoint: str | Path, split: str) -> Config:
    if split == "val":
        for name in ("dataloader", "evaluator"):
            config[f"test_{name}"] = config.get(f"val_{name}")
        config.test_cfg = config.get("test_cfg") or dict(type="TestLoop")
    require_parts(config, "model", "test_dataloader", "test_evaluator")
    require_data(config, "test")
    evaluators = config.test_evaluator
    evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
    if any(evaluator.get("format_only") for evaluator in evaluators):
        raise UsageError(f"the config's {split} data have no labels (format_only): --split val")
    config.load_from, config.resume, config.launcher = str(checkpoint), False, "none"
    if config.get("visualizer"):  # a report is no run of TensorBoard, MLflow or W&B
        config.visualizer.vis_backends = [dict(type="LocalVisBackend")]
    config.experiment_name = f"report_{uuid.uuid4().hex}"
    config.log_level = "WARNING"
    return config


def _run(runner: Runner) -> Evaluation:
    loop: Any = runner.test_loop
    dataset, scope = loop.dataloader.dataset, scope_of(runner.cfg)
    classes = tuple(str(name) for name in dataset.metainfo["classes"])
    collector = _collector(scope, len(classes), dataset, loop.evaluator.metrics)
    config_metrics = list(loop.evaluator.metrics)
    loop.evaluator.metrics.append(collector)
    with kept_curves(scope, classes) as curves, tqdm(total=len(dataset), unit="picture") as bar:
        runner.register_hook(_Progress(bar))
        metrics = {name: float(value) for name, value in runner.test().items()}
    return Evaluation(
        classes, full_palette(dataset.metainfo.get("palette"), len(classes)), metrics,
        _by_class(collector, curves, config_metrics, dataset.metainfo), collector.confusion,
        curves, collector.files, np.array(collector.scores), dataset,
    )  # fmt: skip


def _collector(
    scope: str, num_classes: int, dataset: Any, metrics: list[Any]
) -> PixelCollector | ObjectCollector:
    if scope == "mmseg":
        ignored = next((m.ignore_index for m in metrics if hasattr(m, "ignore_index")), 255)
        return PixelCollector(num_classes, dataset, ignored)
    return ObjectCollector(num_classes, dataset, rotated=scope == "mmrotate")


def _by_class(
    collector: Collector,
    curves: list[PrecisionRecall],
    metrics: list[Any],
    metainfo: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    if isinstance(collector, PixelCollector):
        counts = collector.confusion
        total, right = counts.sum(1), np.diag(counts)
        both, either = collector.boundaries
        return {
            "IoU": 100 * iou(counts),
            "accuracy": _percent(right, total),
            "boundary IoU": _percent(both, either),
            "share of pixels": _percent(total, np.full(len(total), total.sum())),
        }
    classes = metainfo["classes"]
    columns: dict[str, np.ndarray] = {}
    for found in curves:
        columns |= {f"{found.kind} {name}": 100 * ap for name, ap in found.ap.items()}
    for metric in metrics:  # CocoPanopticQuality's
        for name, values in getattr(metric, "by_class", {}).items():
            columns[name] = np.array([values.get(c, np.nan) for c in classes])
    if isinstance(collector, ObjectCollector):
        single = np.isin(classes, metainfo.get("thing_classes", classes))  # not of stuff
        columns["objects"] = np.where(single, collector.confusion[:-1].sum(1), np.nan)
    return columns


def _percent(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, 100 * part / np.maximum(whole, 1), np.nan)


class _Progress(Hook):
    """Moves a bar on by the pictures of each batch."""

    def __init__(self, bar: tqdm) -> None:
        self.bar = bar

    def after_test_iter(self, *_: Any, outputs: Any = None, **__: Any) -> None:
        self.bar.update(len(outputs or ()))
