"""Building the model of a config: the one place that knows the ritual."""

import inspect
from typing import Any

from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS
from torch import nn

from fdam_mm.checkpoints.loading import allowing_pickle
from fdam_mm.toolkits.scope import scope_of, toolkit_scope
from fdam_mm.toolkits.types import class_of
from fdam_mm.training.argument_types import refuse_wrong_types
from fdam_mm.training.config_errors import config_errors


def build_model(config: Config) -> nn.Module:
    """Build a config's model as a single process runs it, with the weights that it starts from.

    SyncBN becomes BN, and oriented detectors keep their boxes in float32 under autocast. Nothing
    is read or downloaded: ``init_weights`` is the caller's.

    Raises:
        ConfigError: ``default_scope`` is no toolkit's, or the model cannot be built.
    """
    scope = scope_of(config)
    what = f"config {config.filename}" if config.filename else "the model"
    with (
        allowing_pickle(config.get("allow_pickle", False)),
        toolkit_scope(scope),
        config_errors(f"{what} cannot be built", config),
    ):
        refuse_wrong_types(config.model, scope)
        model = revert_sync_batchnorm(MODELS.build(config.model))
    if scope == "mmrotate":
        from fdam_mm.oriented.float32_boxes import keep_boxes_in_float32  # needs mmdet

        keep_boxes_in_float32(model)
    return model


def test_dataset(config: Config) -> tuple[type | None, dict[str, Any]]:
    """Class and settings of a config's test data, without looking at the data; None without."""
    dataset = (config.get("test_dataloader") or {}).get("dataset") or {}
    while "dataset" in dataset or "datasets" in dataset:  # RepeatDataset and other wrappers
        dataset = dataset["dataset"] if "dataset" in dataset else dataset["datasets"][0]
    if "type" not in dataset:
        return None, dataset
    scope = scope_of(config)
    with toolkit_scope(scope):
        return class_of(dataset["type"], DATASETS, scope), dataset


def metainfo(config: Config) -> dict[str, Any]:
    """Classes, palette and the like of a config's test data."""
    kind, dataset = test_dataset(config)
    return {**getattr(kind, "METAINFO", {}), **dataset.get("metainfo", {})}


def reduces_zero_label(config: Config) -> bool:
    """Whether label 0 in the files of a config's test data means "no label" (mmseg)."""
    kind, dataset = test_dataset(config)
    if "reduce_zero_label" in dataset or kind is None:
        return bool(dataset.get("reduce_zero_label"))
    parameter = inspect.signature(kind).parameters.get("reduce_zero_label")
    return bool(parameter and parameter.default is True)
