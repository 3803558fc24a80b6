"""Check segmentation data: read every image and annotation, and name everything that is wrong.

`check_segmentation` works on files alone. `segmentation_sets` finds what to check in a config, as
mmseg's `BaseSegDataset` would read it.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

SPLITS = ("train", "val", "test")
_IGNORED = 255  # mmseg maps label 0 to it when reduce_zero_label is on
_MAX_VALUES = 8  # wrong label values named in one line
_ORIENTATION = 0x0112  # the EXIF tag; 5 to 8 swap height and width
_UNREADABLE = (
    OSError,
    SyntaxError,  # Pillow's, for a broken PNG
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

Pair = tuple[Path, Path | None]


class ConfigError(ValueError):
    """The config has no segmentation data that can be checked; the message says why."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one file or folder."""

    path: Path
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path}: {self.found}, expected {self.expected}"


@dataclass
class Report:
    """Result of a check.

    Attributes:
        num_pairs: pairs of image and annotation that were read.
        problems: all that is wrong, folders and names first.
    """

    num_pairs: int = 0
    problems: list[Problem] = field(default_factory=list)


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
    """

    img_dir: Path
    ann_dir: Path | None
    img_suffix: str
    seg_suffix: str
    num_classes: int
    reduce_zero_label: bool = False
    ignore_index: int = _IGNORED
    list_file: Path | None = None

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


def check_segmentation(
    data: SegmentationSet, progress: Callable[[list[Pair]], Iterable[Pair]] = iter
) -> Report:
    """Read every pair of a set and report all problems.

    Args:
        data: what to check.
        progress: wraps the list of pairs, to show how far the check is (`tqdm` fits).
    """
    pairs, problems = find_pairs(data)
    report = Report(len(pairs), problems)
    for image, annotation in progress(pairs):
        report.problems += check_pair(image, annotation, data)
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
        listed = data.list_file.read_text(encoding="utf-8").splitlines()
        names = [line.strip() for line in listed]
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


def check_pair(image: Path, annotation: Path | None, data: SegmentationSet) -> list[Problem]:
    """Read an image and its annotation and return what is wrong with them."""
    problems: list[Problem] = []
    image_size = _read(image, _image_size, problems)
    if annotation is None:
        return problems
    labels = _read(annotation, np.asarray, problems)
    if labels is None:
        return problems
    channels = labels.shape[2] if labels.ndim == 3 else 1
    if channels > 1:
        expected = "one channel with a class number in each pixel"
        problems.append(Problem(annotation, f"annotation has {channels} channels", expected))
    if image_size is not None and labels.shape[:2] != image_size:
        found = f"annotation is {_size_text(labels.shape)}"
        expected = f"{_size_text(image_size)} like {image}"
        problems.append(Problem(annotation, found, expected))
    if channels == 1:
        problems += _label_problems(annotation, labels, data)
    return problems


def segmentation_sets(
    config: Config, splits: Sequence[str] | None = None
) -> dict[SegmentationSet, list[str]]:
    """Find the sets that a config's dataloaders read.

    Args:
        config: a loaded config. Its `default_scope` (mmseg if none) resolves the dataset types.
        splits: of `train`, `val` and `test`; None takes those that the config has.

    Returns:
        The splits of each set; one that serves two splits is there once.

    Raises:
        ConfigError: a split has no dataset, or one that is not for semantic segmentation.
    """
    if splits is None:
        splits = [split for split in SPLITS if config.get(f"{split}_dataloader")]
        if not splits:
            raise ConfigError(
                "the config has no train_dataloader, val_dataloader or test_dataloader; "
                "expected at least one with a segmentation dataset"
            )
    sets: dict[SegmentationSet, list[str]] = {}
    with DefaultScope.overwrite_default_scope(config.get("default_scope") or "mmseg"):
        for split in splits:
            for dataset in _plain_datasets(_dataset_config(config, split), split):
                names = sets.setdefault(_segmentation_set(dataset, split), [])
                if split not in names:
                    names.append(split)
    return sets


def _folder_problems(data: SegmentationSet) -> list[Problem]:
    """Return one problem for each folder or list that is missing or has no file of its suffix."""
    problems: list[Problem] = []
    for folder, suffix in ((data.img_dir, data.img_suffix), (data.ann_dir, data.seg_suffix)):
        if folder is None:
            continue
        expected = f"a folder with *{suffix} files"
        if not folder.is_dir():
            found = "no such folder" if folder.is_absolute() else f"no such folder in {Path.cwd()}"
            problems.append(
                Problem(folder, found, f"{expected}; prepare the data or set its root")
            )
        elif not _list_files(folder, suffix):
            other = next(iter(_list_files(folder, "")), None)
            found = f"no *{suffix} file" + (f" (but {other})" if other else "")
            problems.append(Problem(folder, found, expected))
    if data.list_file and not data.list_file.is_file():
        problems.append(Problem(data.list_file, "no such file", "a list of picture names"))
    return problems


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


def _read(file: Path, use: Callable[[Image.Image], Any], problems: list[Problem]) -> Any:
    """Decode a whole picture and return `use(picture)`, or None after adding a problem."""
    try:
        with Image.open(file) as picture:
            picture.load()
            return use(picture)
    except _UNREADABLE as error:
        problems.append(Problem(file, f"unreadable ({error})", "a whole picture"))
        return None


def _image_size(picture: Image.Image) -> tuple[int, int]:
    """Return height and width after the rotation in the EXIF data, which mmcv applies."""
    width, height = picture.size
    turned = picture.getexif().get(_ORIENTATION, 1) >= 5
    return (width, height) if turned else (height, width)


def _size_text(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} high and {shape[1]} wide"


def _label_problems(file: Path, labels: np.ndarray, data: SegmentationSet) -> list[Problem]:
    values, counts = np.unique(labels, return_counts=True)
    valid = data.valid_labels()
    wrong = {v: n for v, n in zip(values.tolist(), counts.tolist(), strict=True) if v not in valid}
    if not wrong:
        return []
    named = ", ".join(str(value) for value in list(wrong)[:_MAX_VALUES])
    if len(wrong) > _MAX_VALUES:
        named += f" and {len(wrong) - _MAX_VALUES} more"
    found = f"label values {named} in {sum(wrong.values())} pixels"
    return [Problem(file, found, data.describe_labels())]


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


def _segmentation_set(config: dict, split: str) -> SegmentationSet:
    """Read a dataset's settings from an instance that has not looked at the disk."""
    options = {key: value for key, value in config.items() if key not in ("type", "_scope_")}
    options.update(pipeline=[], lazy_init=True)
    dataset_class = _segmentation_class(config["type"], split)
    try:
        dataset = dataset_class(**options)
    except (AssertionError, OSError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{split}: {dataset_class.__name__} cannot be set up from "
            f"data_root={config.get('data_root')!r}, data_prefix={config.get('data_prefix')!r}: "
            f"{error or 'its folders are missing'}"
        ) from error
    annotated = dataset.METAINFO if dataset.label_map else dataset.metainfo
    if not annotated.get("classes"):
        raise ConfigError(
            f"{split}: {dataset_class.__name__} names no classes, "
            "expected metainfo=dict(classes=(...)) in its config"
        )
    for suffix in (dataset.img_suffix, dataset.seg_map_suffix):
        if Path(f"name{suffix}").suffix.lower() not in Image.registered_extensions():
            raise ConfigError(f"{split}: expected pictures, found the suffix {suffix!r}")
    if not dataset.data_prefix.get("img_path"):
        raise ConfigError(
            f"{split}: data_prefix is {config.get('data_prefix')}, expected a folder in img_path"
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


def _segmentation_class(name: str | type, split: str) -> type:
    """Resolve a dataset type under the default scope.

    Raises:
        ConfigError: it is unknown, or no `BaseSegDataset`.
    """
    from mmseg.datasets import BaseSegDataset  # slow, and not needed to check files

    if isinstance(name, str):
        with DATASETS.switch_scope_and_registry(None) as registry:
            found = registry.get(name)
    else:
        found = name
    if found is None:
        raise ConfigError(
            f"{split}: the dataset type {name!r} is unknown; "
            "check its spelling, default_scope and custom_imports"
        )
    if not issubclass(found, BaseSegDataset):
        raise ConfigError(
            f"{split}: {found.__name__} is not a semantic segmentation dataset, "
            "expected one of mmseg's (a BaseSegDataset)"
        )
    return found
