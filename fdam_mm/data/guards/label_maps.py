"""See with every sample that its label map is one, of its picture's size, with known labels."""

from collections.abc import Set
from typing import Any

import cv2
import numpy as np
from PIL import Image

from fdam_mm.data.pictures.labels import read_label_map
from fdam_mm.errors import LabelError

from .datasets import is_a

_IGNORED = 255
_EIGHT_BITS = ("1", "L", "P")  # Pillow's modes


def check_label_maps(dataset: Any, ignored: Set[int]) -> None:
    """Put a check behind the transform that loads the label maps of one of mmseg's data sets.

    Args:
        dataset: Its pipeline is changed; one that loads no label maps is left alone.
        ignored: Labels that the model leaves out.
    """
    transforms = dataset.pipeline.transforms
    classes = (dataset.metainfo or {}).get("classes")
    loaders = [i for i, step in enumerate(transforms) if is_a(step, "LoadAnnotations")]
    if loaders and classes:
        known = {*range(len(classes)), _IGNORED, dataset.ignore_index, *ignored}
        transforms.insert(loaders[-1] + 1, CheckLabelMap(len(classes), known))


class CheckLabelMap:
    """A step of a pipeline that raises where a label map cannot be trained on.

    Args:
        num_classes: Of the data set.
        known: All labels that may come, after `reduce_zero_label` and `label_map`.
    """

    def __init__(self, num_classes: int, known: Set[int]) -> None:
        self.num_classes = num_classes
        self.wrong = np.array([[value not in known for value in range(256)]], np.uint8)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return the results as they are.

        Raises:
            LabelError, PictureError: The label map is wrong; names the file and the values.
        """
        labels, file = results.get("gt_seg_map"), results.get("seg_map_path")
        if labels is None or not isinstance(file, str) or "://" in file:
            return results
        _require_one_channel(file, labels)
        _require_size(file, labels, results)
        _require_eight_bits(file)
        if labels.dtype == np.uint8 and cv2.LUT(labels, self.wrong).any():
            raise LabelError(self._wrong_values(file, labels, results))
        return results

    def _wrong_values(self, file: str, labels: np.ndarray, results: dict[str, Any]) -> str:
        wrong = cv2.LUT(labels, self.wrong) > 0
        stored = read_label_map(file)
        stored = stored if stored.shape == labels.shape else labels
        values = np.unique(stored[wrong]).tolist()
        shown = ", ".join(map(str, values[:8])) + (" and more" if len(values) > 8 else "")
        reduced, count = bool(results.get("reduce_zero_label")), self.num_classes
        expected = f"1..{count}, or 0 or 255" if reduced else f"0..{count - 1}, or 255"
        return (
            f"{file}: label values {shown} in {int(wrong.sum())} pixels, expected {expected} to "
            f"ignore (reduce_zero_label={reduced}); {_remedy(values, reduced, count)}"
        )


def _remedy(values: list[int], reduced: bool, num_classes: int) -> str:
    if values == [num_classes] and not reduced:
        return (
            "if the classes count from 1, set reduce_zero_label=True in the data set, else add "
            "the missing class to metainfo.classes"
        )
    return "renumber the labels, or give the data set all of its classes (metainfo, label_map)"


def _require_one_channel(file: str, labels: np.ndarray) -> None:
    if labels.ndim != 2:
        channels = labels.shape[-1] if labels.ndim == 3 else labels.shape
        raise LabelError(
            f"{file}: label map with {channels} channels, expected one with the number of a class "
            "in each pixel; convert colours to numbers, and drop alpha"
        )


def _require_size(file: str, labels: np.ndarray, results: dict[str, Any]) -> None:
    """Of the picture as it is, or as it was read: mmseg's tests resize pictures alone."""
    picture = results.get("img")
    if not isinstance(picture, np.ndarray):
        return
    height, width = tuple(results.get("ori_shape", picture.shape))[:2]
    if labels.shape not in (picture.shape[:2], (height, width)):
        raise LabelError(
            f"{file}: label map {labels.shape[0]} high and {labels.shape[1]} wide, expected "
            f"{height} high and {width} wide like {results.get('img_path')}"
        )


def _require_eight_bits(file: str) -> None:
    """mmseg cuts more bits off; an orientation it does not apply."""
    with Image.open(file) as picture:
        plain = picture.mode in _EIGHT_BITS and "exif" not in picture.info
    if plain:
        return
    labels = read_label_map(file)
    if labels.max(initial=0) > _IGNORED or labels.min(initial=0) < 0 or labels.dtype.kind == "f":
        raise LabelError(
            f"{file}: label map of type {labels.dtype} with values up to {labels.max()}, expected "
            "0..255, for mmseg keeps 8 bits; save it with 8 bits"
        )
