"""The data sets inside a dataloader's, and what kind they are."""

from collections.abc import Iterator
from typing import Any

ADVICE = "tools/check_data.py CONFIG looks at every file"


def plain_datasets(dataset: Any) -> Iterator[Any]:
    """Yield the data sets that read files, inside ConcatDataset, RepeatDataset and the like."""
    inner = getattr(dataset, "datasets", None)
    if inner is None and hasattr(dataset, "dataset"):
        inner = [dataset.dataset]
    if inner is None:
        yield dataset
    else:
        for part in inner:
            yield from plain_datasets(part)


def is_a(thing: Any, name: str) -> bool:
    """Whether an object is of a toolkit's class, which need not be imported."""
    return any(base.__name__ == name for base in type(thing).__mro__)
