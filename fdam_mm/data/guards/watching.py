"""Let a data set say which picture it could not load, from a worker process too."""

import sys
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from fdam_mm.data.pictures.endings import require_whole_jpeg
from fdam_mm.data.pictures.labels import read_label_map
from fdam_mm.data.pictures.rows import picture_size
from fdam_mm.errors import DataError, FDAMError, PictureError

from .boxes import require_boxes
from .datasets import ADVICE, is_a, plain_datasets
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
        plain.prepare_data = partial(_prepare_data, plain)


def _prepare_data(dataset: Any, index: int) -> Any:
    """The data set's own, with errors that name the files."""
    try:
        for name in _files(dataset, index).values():
            require_whole_jpeg(Path(name))
        return type(dataset).prepare_data(dataset, index)
    except FDAMError as error:
        raise type(error)(f"{error}; {ADVICE}") from error
    except Exception as error:
        files = _files(dataset, index)
        if fault := _fault(files):
            raise DataError(f"{fault}; {ADVICE}") from error
        if files:
            _add_note(error, f"while loading {' with '.join(files.values())}; {ADVICE}")
        raise


def _files(dataset: Any, index: int) -> dict[str, str]:
    """The picture of a sample and its label map, as far as the data set knows them."""
    try:
        info: Mapping[str, Any] = dataset.get_data_info(index)
    except Exception:  # a user's own data set
        return {}
    keys = ("img_path", "seg_map_path")
    return {key: info[key] for key in keys if isinstance(info.get(key), str)}


def _fault(files: Mapping[str, str]) -> str | None:
    """What is wrong with a sample's files, None if they can be read."""
    readers = {"img_path": partial(picture_size, whole=True), "seg_map_path": read_label_map}
    for key, name in files.items():
        if "://" in name:  # on a server: not ours to read
            continue
        try:
            readers[key](Path(name))
        except PictureError as error:
            return str(error)
    return None


def _add_note(error: Exception, note: str) -> None:
    if sys.version_info >= (3, 11):
        error.add_note(note)
    else:
        print_log(note, logger="current", level=40)


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
