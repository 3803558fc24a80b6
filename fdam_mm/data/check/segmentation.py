"""Check segmentation data: pairs of an image and a label map."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fdam_mm.data.pictures.labels import read_label_map
from fdam_mm.data.pictures.rasters import raster_size
from fdam_mm.errors import ConfigError

from .problems import (
    Problem,
    Progress,
    Report,
    is_folder,
    no_such,
    shorten,
    size_text,
    try_reading,
    whole_size,
)

if TYPE_CHECKING:
    from mmseg.datasets import BaseSegDataset

_IGNORED = 255  # mmseg maps label 0 to it when reduce_zero_label is on

Pair = tuple[Path, Path | None]


@dataclass(frozen=True)
class SegmentationSet:
    """Images and their label maps.

    Attributes:
        img_dir: folder of the images; subfolders are read too.
        ann_dir: folder of the annotations, or None for images alone.
        img_suffix: end of an image's name, such as `.jpg`.
        seg_suffix: end of an annotation's name, such as `.png`.
        num_classes: number of classes in the annotations.
        reduce_zero_label: label 0 is ignored and the classes are 1..num_classes.
        ignore_index: label to ignore when `reduce_zero_label` is off.
        list_file: text file with one name, less its suffix, a line; None takes every file.
        bands: images are of any bands and depth, as `LoadRaster` reads them.
    """

    img_dir: Path
    ann_dir: Path | None
    img_suffix: str
    seg_suffix: str
    num_classes: int
    reduce_zero_label: bool = False
    ignore_index: int = _IGNORED
    list_file: Path | None = None
    bands: bool = False

    def valid_labels(self) -> set[int]:
        """Return the values that an annotation may hold."""
        if self.reduce_zero_label:
            return {*range(self.num_classes + 1), _IGNORED}
        return {*range(self.num_classes), self.ignore_index}

    def describe_labels(self) -> str:
        """Say in words which values an annotation may hold."""
        if self.reduce_zero_label:
            return f"1..{self.num_classes}, or 0 or {_IGNORED} to ignore (reduce_zero_label=True)"
        last = self.num_classes - 1
        return f"0..{last}, or {self.ignore_index} to ignore (reduce_zero_label=False)"

    def check(self, progress: Progress = iter) -> Report:
        """Read every pair and report all problems."""
        pairs, problems = find_pairs(self)
        report = Report(len(pairs), problems)
        seen: set[int] = set()
        for image, annotation in progress(pairs):
            report.problems += check_pair(image, annotation, self, seen)
        report.problems += _nothing_to_learn(seen, self)
        return report


def find_pairs(data: SegmentationSet) -> tuple[list[Pair], list[Problem]]:
    """Match images and annotations by name.

    Returns:
        The pairs, sorted by name, and the problems: missing and empty folders, images without
        annotation and annotations without image.
    """
    problems = _folder_problems(data)
    if problems:
        return [], problems
    images = _list_files(data.img_dir, data.img_suffix)
    annotations = _list_files(data.ann_dir, data.seg_suffix) if data.ann_dir else {}
    if data.list_file:
        names = _listed_names(data.list_file, problems)
        problems += _missing_listed(names, images, data)
    else:
        names = sorted(images)
        problems += _missing_images(annotations.keys() - images.keys(), annotations, data)
    pairs: list[Pair] = []
    for name in names:
        if name not in images:
            continue
        if data.ann_dir and name not in annotations:
            wanted = data.ann_dir / f"{name}{data.seg_suffix}"
            problems.append(Problem(images[name], "image without annotation", str(wanted)))
            continue
        pairs.append((images[name], annotations.get(name)))
    return pairs, problems


def check_pair(
    image: Path, annotation: Path | None, data: SegmentationSet, seen: set[int] | None = None
) -> list[Problem]:
    """Read an image and its annotation and return what is wrong with them.

    The annotation's label values are added to ``seen``.
    """
    problems: list[Problem] = []
    image_size = try_reading(raster_size if data.bands else whole_size, image, problems)
    if annotation is None:
        return problems
    labels = try_reading(read_label_map, annotation, problems)
    if labels is None:
        return problems
    channels = labels.shape[2] if labels.ndim == 3 else 1
    if channels > 1:
        expected = "one channel with a class number in each pixel"
        problems.append(Problem(annotation, f"annotation has {channels} channels", expected))
    if image_size is not None and labels.shape[:2] != image_size:
        found = f"annotation is {size_text(labels.shape)}"
        expected = f"{size_text(image_size)} like {image}"
        problems.append(Problem(annotation, found, expected))
    if channels == 1:
        problems += _label_problems(annotation, labels, data)
        if seen is not None:
            seen.update(np.unique(labels).tolist())
    return problems


def segmentation_set(dataset: "BaseSegDataset", split: str) -> SegmentationSet:
    """Read the settings of one of mmseg's datasets.

    Raises:
        ConfigError: it names no classes or no folder, or its files are no pictures.
    """
    annotated = dataset.METAINFO if dataset.label_map else dataset.metainfo
    if not annotated.get("classes"):
        raise ConfigError(
            f"{split}: {type(dataset).__name__} names no classes, "
            "expected metainfo=dict(classes=(...)) in its config"
        )
    for suffix in (dataset.img_suffix, dataset.seg_map_suffix):
        if Path(f"name{suffix}").suffix.lower() not in Image.registered_extensions():
            raise ConfigError(f"{split}: expected pictures, found the suffix {suffix!r}")
    if not dataset.data_prefix.get("img_path"):
        raise ConfigError(
            f"{split}: data_prefix is {dataset.data_prefix}, expected a folder in img_path"
        )
    ann_dir = dataset.data_prefix.get("seg_map_path")
    has_list = dataset.ann_file and not os.path.isdir(dataset.ann_file)
    return SegmentationSet(
        img_dir=Path(dataset.data_prefix["img_path"]),
        ann_dir=None if ann_dir is None else Path(ann_dir),
        img_suffix=dataset.img_suffix,
        seg_suffix=dataset.seg_map_suffix,
        num_classes=len(annotated["classes"]),
        reduce_zero_label=bool(dataset.reduce_zero_label),
        ignore_index=dataset.ignore_index,
        list_file=Path(dataset.ann_file) if has_list else None,
    )


def _folder_problems(data: SegmentationSet) -> list[Problem]:
    """Return one problem for each folder or list that is missing or has no file of its suffix."""
    problems: list[Problem] = []
    for folder, suffix in ((data.img_dir, data.img_suffix), (data.ann_dir, data.seg_suffix)):
        if folder is None:
            continue
        expected = f"a folder with *{suffix} files"
        if not is_folder(folder):
            advice = f"{expected}; prepare the data or set its root"
            problems.append(Problem(folder, no_such("folder", folder), advice))
        elif not _list_files(folder, suffix):
            other = next(iter(_list_files(folder, "")), None)
            found = f"no *{suffix} file" + (f" (but {other})" if other else "")
            problems.append(Problem(folder, found, expected))
    if data.list_file and not data.list_file.is_file():
        problems.append(Problem(data.list_file, "no such file", "a list of picture names"))
    return problems


def _listed_names(file: Path, problems: list[Problem]) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        problems.append(Problem(file, f"unreadable ({error})", "a list of picture names"))
        return []


def _list_files(folder: Path, suffix: str) -> dict[str, Path]:
    """Return the files below a folder by their relative path less the suffix.

    Like mmseg, it looks into subfolders and passes over names that start with a dot.
    """
    files: dict[str, Path] = {}
    for parent, _, names in os.walk(folder, followlinks=True):
        for name in names:
            if name.endswith(suffix) and not name.startswith("."):
                file = Path(parent, name)
                key = file.relative_to(folder).as_posix()
                files[key[: len(key) - len(suffix)]] = file
    return files


def _missing_listed(
    names: list[str], images: dict[str, Path], data: SegmentationSet
) -> list[Problem]:
    missing = [name for name in names if name not in images]
    expected = f"an image, for {data.list_file} lists it"
    return [
        Problem(data.img_dir / f"{name}{data.img_suffix}", "no such file", expected)
        for name in missing
    ]


def _missing_images(
    names: Iterable[str], annotations: dict[str, Path], data: SegmentationSet
) -> list[Problem]:
    return [
        Problem(
            annotations[name],
            "annotation without image",
            str(data.img_dir / f"{name}{data.img_suffix}"),
        )
        for name in sorted(names)
    ]


def _nothing_to_learn(seen: set[int], data: SegmentationSet) -> list[Problem]:
    """Black and white label maps: what is white is ignored in a training, without a word."""
    if data.ann_dir is None or not seen or not seen <= {0, _IGNORED}:
        return []
    if not data.reduce_zero_label and not (data.num_classes == 2 and _IGNORED in seen):
        return []
    found = f"all label maps hold {shorten(sorted(seen))} alone, which leaves nothing to learn"
    return [Problem(data.ann_dir, found, data.describe_labels())]


def _label_problems(file: Path, labels: np.ndarray, data: SegmentationSet) -> list[Problem]:
    values, counts = np.unique(labels, return_counts=True)
    valid = data.valid_labels()
    wrong = {v: n for v, n in zip(values.tolist(), counts.tolist(), strict=True) if v not in valid}
    if not wrong:
        return []
    found = f"label values {shorten(wrong)} in {sum(wrong.values())} pixels"
    return [Problem(file, found, data.describe_labels())]
