"""Check a config's data: read every picture and annotation, and name everything that is wrong.

`data_sets` finds what the dataloaders read. Each kind of data set has a module that turns a
toolkit's data set into its own :class:`DataSet` and checks the files alone.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, DefaultScope

from fdam_mm.errors import ConfigError
from fdam_mm.toolkits.types import class_of

from .dota import dota_set
from .instances import instance_set
from .panoptic import panoptic_set
from .problems import Progress, Report
from .segmentation import segmentation_set

SPLITS = ("train", "val", "test")


class DataSet(Protocol):
    """What one kind of data set can do; hashable, so that equal ones are checked once."""

    def check(self, progress: Progress = iter) -> Report:
        """Read everything and report all problems."""


_KINDS = {  # by the nearest base class: the data set, not looked at yet, and its split -> DataSet
    "BaseSegDataset": segmentation_set,
    "CocoDataset": instance_set,
    "CocoPanopticDataset": panoptic_set,
    "DOTADataset": dota_set,
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
    sets: dict[DataSet, list[str]] = {}
    with DefaultScope.overwrite_default_scope(config.get("default_scope") or "mmseg"):
        for split in splits:
            for dataset in _plain_datasets(_dataset_config(config, split), split):
                names = sets.setdefault(_data_set(dataset, split), [])
                if split not in names:
                    names.append(split)
    return sets


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


def _data_set(config: dict, split: str) -> DataSet:
    """Read a dataset's settings from an instance that has not looked at the disk."""
    dataset_class = _dataset_class(config["type"], split)
    kinds = [_KINDS[base.__name__] for base in dataset_class.__mro__ if base.__name__ in _KINDS]
    if not kinds:
        raise ConfigError(
            f"{split}: {dataset_class.__name__} cannot be checked, "
            f"expected a {', '.join(_KINDS)} or a subclass"
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
    return kinds[0](dataset, split)


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
