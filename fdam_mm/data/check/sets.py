"""Check a config's data: read every picture and annotation, and name everything that is wrong.

`data_sets` finds what the dataloaders read. Each kind of data set has a module that turns a
toolkit's data set into its own :class:`DataSet` and checks the files alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, DefaultScope

from fdam_mm.errors import ConfigError
from fdam_mm.toolkits.types import class_of

from .dota import dota_set
from .evaluators import evaluated_sets
from .instances import InstanceSet, instance_set
from .oriented_xml import dior_set, hrsc_set
from .panoptic import PanopticSet, panoptic_set
from .problems import Progress, Report
from .reading import reading_of
from .segmentation import SegmentationSet, segmentation_set

SPLITS = ("train", "val", "test")


class DataSet(Protocol):
    """What one kind of data set can do; hashable, so that equal ones are checked once."""

    def check(self, progress: Progress = iter) -> Report:
        """Read everything and report all problems."""


# by the nearest base class: the data set, not looked at yet, and its split -> DataSet
_KINDS: dict[str, Callable] = {
    "BaseSegDataset": segmentation_set,
    "DIORDataset": dior_set,
    "DOTADataset": dota_set,
    "HRSCDataset": hrsc_set,
}
_COCO_KINDS: dict[str, Callable] = {  # these also take how the config reads them
    "CocoDataset": instance_set,
    "CocoPanopticDataset": panoptic_set,
}


def data_sets(config: Config, splits: Sequence[str] | None = None) -> dict[DataSet, list[str]]:
    """Find the sets that a config's dataloaders read.

    Args:
        config: a loaded config. Its `default_scope` (mmseg if none) resolves the dataset types.
        splits: of `train`, `val` and `test`; None takes those that the config has.

    Returns:
        The splits of each set; one that serves two splits is there once.

    Raises:
        ConfigError: a split has no dataset, or one of a kind that cannot be checked.
    """
    if splits is None:
        splits = [split for split in SPLITS if config.get(f"{split}_dataloader")]
        if not splits:
            raise ConfigError(
                "the config has no train_dataloader, val_dataloader or test_dataloader; "
                "expected at least one with a dataset"
            )
    found: dict[DataSet, tuple[DataSet, list[str]]] = {}
    measured = not any(config.get(f"{split}_evaluator") for split in ("val", "test"))
    with DefaultScope.overwrite_default_scope(config.get("default_scope") or "mmseg"):
        for split in splits:
            for dataset in _plain_datasets(_dataset_config(config, split), split):
                _add(found, _data_set(dataset, split, measured), split)
        for split in splits:
            for data in evaluated_sets(config, split, [data for data, _ in found.values()]):
                _add(found, data, split)
    return dict(found.values())


def _add(found: dict[DataSet, tuple[DataSet, list[str]]], data: DataSet, split: str) -> None:
    """Take a set, or the demands of another split on one that is there, in."""
    known, splits = found.get(data, (data, []))
    if isinstance(known, InstanceSet | PanopticSet):
        known = replace(known, reading=known.reading | data.reading)
    found[data] = known, splits if split in splits else [*splits, split]


def _dataset_config(config: Config, split: str) -> dict:
    dataset = (config.get(f"{split}_dataloader") or {}).get("dataset")
    if not dataset:
        raise ConfigError(f"the config has no {split}_dataloader.dataset; leave out this split")
    return dataset


def _plain_datasets(dataset: dict, split: str) -> Iterator[dict]:
    """Yield the datasets inside RepeatDataset, ConcatDataset and other wrappers."""
    if "datasets" in dataset:
        for inner in dataset["datasets"]:
            yield from _plain_datasets(inner, split)
    elif "dataset" in dataset:
        yield from _plain_datasets(dataset["dataset"], split)
    elif "type" in dataset:
        yield dataset
    else:
        raise ConfigError(f"{split}_dataloader.dataset has no type, found {dict(dataset)}")


def _data_set(config: dict, split: str, measured: bool) -> DataSet:
    """Read a dataset's settings from an instance that has not looked at the disk."""
    dataset_class = _dataset_class(config["type"], split)
    known = _KINDS | _COCO_KINDS
    kind = next((b.__name__ for b in dataset_class.__mro__ if b.__name__ in known), None)
    if kind is None:
        raise ConfigError(
            f"{split}: {dataset_class.__name__} cannot be checked, "
            f"expected a {', '.join(known)} or a subclass"
        )
    options = {key: value for key, value in config.items() if key not in ("type", "_scope_")}
    options.update(pipeline=[], lazy_init=True)
    try:
        dataset = dataset_class(**options)
    except (AssertionError, OSError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{split}: {dataset_class.__name__} cannot be set up from "
            f"data_root={config.get('data_root')!r}, data_prefix={config.get('data_prefix')!r}: "
            f"{error or 'its folders are missing'}"
        ) from error
    if kind in _COCO_KINDS:
        reading = reading_of(dataset, config.get("pipeline") or (), split, measured)
        return _COCO_KINDS[kind](dataset, split, reading)
    data = _KINDS[kind](dataset, split)
    if isinstance(data, SegmentationSet) and _reads_bands(config.get("pipeline")):
        return replace(data, bands=True)
    return data


def _reads_bands(pipeline: Sequence[dict] | None) -> bool:
    return bool(pipeline) and str(pipeline[0].get("type")).endswith("LoadRaster")


def _dataset_class(name: str | type, split: str) -> type[BaseDataset]:
    """Resolve a dataset type under the default scope.

    Raises:
        ConfigError: it is unknown.
    """
    found = class_of(name, DATASETS)
    if found is None:
        raise ConfigError(
            f"{split}: the dataset type {name!r} is unknown; "
            "check its spelling, default_scope and custom_imports"
        )
    return found
