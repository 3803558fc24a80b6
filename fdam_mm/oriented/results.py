"""Rotated boxes of many pictures in one file, which is read without unpickling."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from fdam_mm.errors import MissingFileError, ResultsError
from fdam_mm.files import write_atomically

from .boxes import OrientedBoxes, join

SUFFIX = ".npz"
_KINDS = {"classes": "U", "images": "U", "counts": "i", "boxes": "f", "scores": "f", "labels": "i"}
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,  # an array is missing
    TypeError,  # numpy's single array is no archive
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, eq=False)
class OrientedResults:
    """What a detector found: the classes' names, and the boxes by the picture's name."""

    classes: tuple[str, ...]
    pictures: dict[str, OrientedBoxes]


def save_results(file: Path, results: OrientedResults) -> None:
    """Write a `.npz` file; an interrupted write leaves no half of it."""
    every = join(list(results.pictures.values()))
    buffer = BytesIO()
    np.savez_compressed(
        buffer,
        classes=np.array(results.classes, str),
        images=np.array(list(results.pictures), str),
        counts=np.array([len(found) for found in results.pictures.values()], np.int64),
        boxes=every.boxes.astype(np.float32),
        scores=every.scores.astype(np.float32),
        labels=every.labels.astype(np.int32),
    )
    write_atomically(file, buffer.getvalue())


def load_results(file: Path) -> OrientedResults:
    """Read what `save_results` wrote.

    Raises:
        MissingFileError: there is no such file.
        ResultsError: it is something else, or damaged.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in _KINDS}
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{file} does not exist; tools/test.py --out NAME{SUFFIX} writes it"
        ) from error
    except _UNREADABLE as error:
        raise ResultsError(
            f"{file} holds no rotated boxes ({error}), expected a {SUFFIX} file of "
            f"tools/test.py --out NAME{SUFFIX}"
        ) from error
    _require_consistent(file, arrays)
    ends = np.cumsum(arrays["counts"])[:-1]
    split = (np.split(arrays[name], ends) for name in ("boxes", "scores", "labels"))
    found = [OrientedBoxes(*parts) for parts in zip(*split, strict=True)]
    names = arrays["images"].tolist()
    return OrientedResults(
        tuple(arrays["classes"].tolist()), dict(zip(names, found[: len(names)], strict=True))
    )


def _require_consistent(file: Path, arrays: dict[str, np.ndarray]) -> None:
    count = len(arrays["boxes"])
    shapes = {"boxes": (count, 5), "scores": (count,), "labels": (count,)}
    fits = all(arrays[name].dtype.kind == kind for name, kind in _KINDS.items())
    fits = fits and all(arrays[name].shape == shape for name, shape in shapes.items())
    fits = fits and arrays["counts"].shape == arrays["images"].shape
    if not fits or arrays["counts"].sum() != count:
        raise ResultsError(f"{file} is damaged: its arrays don't fit each other; write it again")
    labels, num_classes = arrays["labels"], len(arrays["classes"])
    if count and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ResultsError(f"{file} has label {labels.max()}, expected 0..{num_classes - 1}")
    if not np.isfinite(arrays["boxes"]).all() or not np.isfinite(arrays["scores"]).all():
        raise ResultsError(f"{file} has boxes or scores that are not finite numbers")


@METRICS.register_module()
class SaveOrientedResults(BaseMetric):
    """Write the predicted rotated boxes of a test to a file; measures nothing.

    Args:
        out_file: `.npz` file to write; an older one is replaced.
    """

    def __init__(self, out_file: str) -> None:
        super().__init__(collect_device="cpu")
        self.out_file = Path(out_file)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            found = sample["pred_instances"]
            values = (found[name].cpu().numpy() for name in ("bboxes", "scores", "labels"))
            self.results.append((sample["img_id"], OrientedBoxes(*values)))

    def compute_metrics(self, results: list[tuple[str, OrientedBoxes]]) -> dict[str, float]:
        classes = tuple(self.dataset_meta["classes"])
        save_results(self.out_file, OrientedResults(classes, dict(results)))
        return {}
