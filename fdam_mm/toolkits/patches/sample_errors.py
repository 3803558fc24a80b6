"""Errors of loading a sample that name its files.

Seen in mmengine 0.10.12 and mmsegmentation 1.4.2: a data set passes on what its steps raise, and
that of a label map that cannot be read names no file.
"""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from fdam_mm.data.guards.datasets import ADVICE
from fdam_mm.data.pictures.endings import require_whole_jpeg
from fdam_mm.data.pictures.labels import read_label_map
from fdam_mm.data.pictures.rows import picture_size
from fdam_mm.errors import DataError, FDAMError, PictureError


def name_files_in_errors(dataset: Any) -> None:
    """Let a data set's ``prepare_data`` say which files it could not load."""
    dataset.prepare_data = partial(_prepare_data, dataset)


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
