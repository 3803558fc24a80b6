"""Let a data set say which picture it could not load, from a worker process too."""

from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import Any

from fdam_mm.errors import FDAMError
from fdam_mm.toolkits.patches.sample_errors import name_files_in_errors

from .boxes import require_boxes
from .datasets import is_a, plain_datasets
from .label_maps import check_label_maps

_WORKER = " in DataLoader worker process "  # in the text that torch gives a worker's error


def watch(dataset: Any, ignored: Set[int]) -> None:
    """Guard a dataloader's data set, and those inside it, where each reads its samples.

    Args:
        dataset: Any; those without mmengine's `prepare_data` are left alone.
        ignored: Labels that the model leaves out.

    Raises:
        LabelError: A box of an oriented set is absurd; names its file and line.
    """
    for plain in plain_datasets(dataset):
        if not hasattr(plain, "prepare_data") or "prepare_data" in vars(plain):
            continue
        if is_a(plain, "DOTADataset") and plain.ann_file:
            require_boxes(plain)
        if is_a(plain, "BaseSegDataset"):
            check_label_maps(plain, ignored)
        name_files_in_errors(plain)


@contextmanager
def plain_worker_errors() -> Iterator[None]:
    """Take our errors out of the traceback in which torch brings them from a worker process."""
    try:
        yield
    except FDAMError as error:
        lines = str(error).strip().splitlines()
        if not lines or _WORKER not in lines[0]:
            raise
        raise type(error)(lines[-1].partition(": ")[2] or lines[-1]) from error
