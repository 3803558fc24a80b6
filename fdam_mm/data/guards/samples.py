"""Look at a few samples of each split before a training starts."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from fdam_mm.data.pictures.labels import read_label_map
from fdam_mm.errors import LabelError, LayoutError, PictureError

from .building import describe_empty
from .datasets import ADVICE, is_a, plain_datasets

_SAMPLES = 4  # of each data set, from its first to its last
_MAPS = 64  # label maps that are looked at before the labels as a whole are judged
_IGNORED = 255


def look_at_samples(dataset: Any, split: str) -> None:
    """Load some samples, so that what is wrong with all of them is said at the start.

    The random states are as before.

    Args:
        dataset: Of a dataloader, watched.
        split: Its name, for messages.

    Raises:
        DataError: There is no sample, or one cannot be used; names the file.
    """
    for plain in plain_datasets(dataset):
        if not hasattr(plain, "prepare_data"):
            continue
        if len(plain) == 0:
            raise LayoutError(f"{split}: {describe_empty(plain)}")
        with same_randomness(), _same_pipeline(plain):
            for index in _spread(len(plain), _SAMPLES):
                plain.prepare_data(index)
        if is_a(plain, "BaseSegDataset") and split == "train":
            _judge_labels(plain, split)


def _spread(length: int, count: int) -> list[int]:
    return np.unique(np.linspace(0, length - 1, min(count, length)).astype(int)).tolist()


def _judge_labels(dataset: Any, split: str) -> None:
    """Refuse labels without anything to learn, such as two classes that are 0 and 255.

    Raises:
        LabelError: All label maps that are looked at hold 0 and the ignored 255 alone.
    """
    classes = dataset.metainfo.get("classes") or ()
    if dataset.label_map or not (len(classes) == 2 or dataset.reduce_zero_label):
        return
    values: set[int] = set()
    for index in _spread(len(dataset), _MAPS):
        file = dataset.get_data_info(index).get("seg_map_path")
        try:
            values |= set(np.unique(read_label_map(file)).tolist()) if file else {1}
        except PictureError:
            return  # the training says it when it comes there
        if not values <= {0, _IGNORED}:
            return
    if dataset.reduce_zero_label:
        raise LabelError(
            f"{split}: the label maps, such as {file}, hold only {sorted(values)}, which are "
            f"ignored with reduce_zero_label=True; expected 1..{len(classes)}. Set it to False, "
            f"or number the classes from 1; {ADVICE}"
        )
    if _IGNORED in values:
        raise LabelError(
            f"{split}: the label maps, such as {file}, hold only {sorted(values)}, and 255 is "
            f"ignored: {classes[1]!r} would never be learnt. Expected 0 and 1; divide the labels "
            f"by 255 and save them again; {ADVICE}"
        )


@contextmanager
def _same_pipeline(dataset: Any) -> Iterator[None]:
    """Use a copy of the pipeline, for some steps remember what they saw."""
    own = dataset.pipeline
    dataset.pipeline = copy.deepcopy(own)
    try:
        yield
    finally:
        dataset.pipeline = own


@contextmanager
def same_randomness() -> Iterator[None]:
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
