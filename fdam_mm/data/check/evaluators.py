"""The files that a config's evaluators read, beside those of its data sets."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import METRICS

from .instances import EvaluatedInstances, InstanceSet
from .panoptic import PanopticSet
from .reading import Reading, class_names

_PANOPTIC = ("CocoPanopticMetric", "CocoPanopticQuality")


def evaluated_sets(
    config: Config, split: str, known: Sequence[Any]
) -> Iterator[EvaluatedInstances | PanopticSet]:
    """Yield what the evaluators of a split (val or test) read.

    Args:
        config: a loaded config; its scope must be the default one.
        split: whose evaluators.
        known: the data sets of the config.
    """
    evaluators = config.get(f"{split}_evaluator") or []
    evaluators = evaluators if isinstance(evaluators, list | tuple) else [evaluators]
    first = next((data for data in known if isinstance(data, InstanceSet | PanopticSet)), None)
    if first is None:
        return
    classes, things = first.classes, getattr(first, "things", ())
    labelled = split != "test"
    for evaluator in _metrics(evaluators):
        names, file = class_names(evaluator.get("type"), METRICS), evaluator.get("ann_file")
        if not file or evaluator.get("format_only"):
            continue
        if "CocoMetric" in names:
            metric = evaluator.get("metric", "bbox")
            metrics = (metric,) if isinstance(metric, str) else tuple(metric)
            yield EvaluatedInstances(Path(file), things or classes, metrics, labelled)
        elif any(name in names for name in _PANOPTIC) and evaluator.get("seg_prefix"):
            reading = Reading(
                labelled=labelled,
                measured=False,
                any_suffix="CocoPanopticQuality" in names,
                all_classes=True,
            )
            folder = Path(evaluator["seg_prefix"])
            yield PanopticSet(
                _pictures(Path(file), folder, known), folder, Path(file), classes, reading
            )


def _pictures(file: Path, folder: Path, known: Sequence[Any]) -> Path | None:
    """The folder of the pictures of the data set that reads the same files, None without one."""
    for data in known:
        if isinstance(data, PanopticSet) and (data.ann_file, data.seg_dir) == (file, folder):
            return data.img_dir
    return None


def _metrics(evaluators: Sequence[Any]) -> Iterator[Mapping]:
    """Yield the metrics, also those inside evaluators."""
    for evaluator in evaluators:
        if isinstance(evaluator, Mapping):
            inner = evaluator.get("metrics")
            yield from _metrics(inner) if isinstance(inner, list | tuple) else (evaluator,)
