"""Label maps: PNG (index, palette, RGB colours, 0 and 255) or TIFF, one for each picture."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from fdam_mm.data.check.problems import Problem, shorten
from fdam_mm.data.own.folder import Folder, split_of
from fdam_mm.data.own.labelled import (
    ClassInfo,
    LabelledPicture,
    LabelledSet,
    SemanticLabels,
)
from fdam_mm.data.own.pairs import Pairs, name_of, pair, parts_of
from fdam_mm.data.pictures.labels import read_label_map
from fdam_mm.data.pictures.rasters import open_raster
from fdam_mm.errors import DataError, LabelError, LayoutError
from fdam_mm.toolkits.optional import importable

from .class_names import ClassNames, class_names

NAME = "masks"
LOOKED_FOR = "label maps (PNG, TIFF) in a folder masks, labels or annotations beside images"

FOLDERS = (
    "annotations", "annotation", "ann_dir", "annots", "masks", "mask", "labels", "label", "gt",
    "groundtruth", "ground_truth", "segmentation", "segmentations", "segmentationclass",
    "labels_png", "masks_png", "targets",
)  # fmt: skip
ENDINGS = (
    "_mask", "_masks", "_label", "_labels", "_gt", "_seg", "_segmentation", "-mask", "-label",
    ".mask", "_l", "_L", "_labelTrainIds", "_labelIds",
)  # fmt: skip
IGNORED = 255  # the value that means "no label" wherever bytes are labels
_MOST_CLASSES = 1024
_MOST_PIXELS = 1 << 29
_BITS = {"uint8", "uint16", "int16", "int32", "uint32", "bool"}

Value = int | tuple[int, int, int]


def detects(folder: Folder) -> bool:
    return bool(find_pairs(folder).matched)


def find_pairs(folder: Folder) -> Pairs:
    """Pictures and label maps: those in a folder of labels, else those whose names end so."""
    candidates = [f for f in folder.pictures if f.suffix.lower() in (".png", ".tif", ".tiff")]
    maps = [f for f in candidates if _label_folder(f)]
    if not maps:
        maps = [f for f in candidates if f.stem.endswith(ENDINGS)]
    chosen = set(maps)
    pictures = [file for file in folder.pictures if file not in chosen]
    return pair(folder, pictures, maps, FOLDERS, ENDINGS)


def _label_folder(file: PurePosixPath) -> bool:
    return any(part.lower() in FOLDERS for part in file.parts[:-1])


def open_set(folder: Folder) -> LabelledSet:
    """Reads every label map: their values are the classes."""
    return open_pairs(folder, NAME, find_pairs(folder), class_names(folder))


def open_pairs(
    folder: Folder,
    name: str,
    pairs: Pairs,
    given: ClassNames | None,
    splits: dict[str, str] | None = None,
) -> LabelledSet:
    """A set of the format ``name`` from pairs of pictures and label maps.

    Args:
        folder: Of both.
        name: Of the format.
        pairs: Pictures and label maps.
        given: Names of the classes; None where no file has them.
        splits: Of the pictures by stem, where lists say them; else folders do.

    Raises:
        LayoutError: The maps have more colours than anyone has classes: they are pictures.
    """
    problems = list(pairs.problems)
    counts, kinds = _counted(folder, pairs, problems)
    seen = _values(folder, counts, kinds)
    is_grey = any(kind.startswith("RGB") for kind in kinds) and all(
        isinstance(value, tuple) and len(set(value)) == 1 for value in seen
    )
    if is_grey:  # numbers saved as colours
        classes, of_number = classes_of({v[0] for v in seen}, given, folder, problems)  # type: ignore
        labels: dict[Value, int] = {(v, v, v): label for v, label in of_number.items()}  # type: ignore
        kinds = {f"grey {kind}" for kind in kinds}
    else:
        classes, labels = classes_of(seen, given, folder, problems)
    table = _Table(labels)

    def read(picture: LabelledPicture) -> SemanticLabels:
        if picture.label_file is None:
            raise LabelError(f"{picture.image}: no label map, expected one")
        return SemanticLabels(table(read_map(picture.label_file)[0]))

    pictures = [
        _picture(folder, image, file, splits, Counter(_renumbered(counts[file], labels)))
        for image, file in pairs.matched
        if file in counts
    ]
    pictures += [_picture(folder, image, None, splits) for image in pairs.without_labels]
    first = 0 if all(info.value == i for i, info in enumerate(classes)) else 1
    counts_up = all(info.value == i + first for i, info in enumerate(classes))
    is_plain = counts_up and kinds <= {"index PNG", "palette PNG"} and len(classes) < IGNORED
    return LabelledSet(
        folder.root, name, " and ".join(sorted(kinds)), "semantic", classes,
        tuple(sorted(pictures, key=lambda p: (p.split or "", p.name))), read, tuple(problems),
        parts_of(folder, pairs.matched) if is_plain and not splits else (),
        zero_unlabelled=bool(first and is_plain),
    )  # fmt: skip


def _counted(
    folder: Folder, pairs: Pairs, problems: list[Problem]
) -> tuple[dict[PurePosixPath, Counter], set[str]]:
    """The pixels of each value of every map that can be read, and the kinds of maps."""
    counts: dict[PurePosixPath, Counter] = {}
    kinds: set[str] = set()
    for _, file in pairs.matched:
        try:
            pixels, kind = read_map(folder.path(file))
            counts[file] = _count(pixels)
            kinds.add(kind)
        except DataError as error:
            found, _, expected = (
                str(error).removeprefix(f"{folder.path(file)}: ").rpartition(", expected ")
            )
            problems.append(Problem(folder.path(file), found or expected, expected))
    return counts, kinds


def _values(
    folder: Folder, counts: dict[PurePosixPath, Counter], kinds: set[str]
) -> Counter[Value]:
    """The values of all maps, refused where they cannot be classes."""
    seen = Counter[Value]()
    for found_values in counts.values():
        seen.update(found_values)
        if len(seen) > _MOST_CLASSES:
            raise LayoutError(
                f"{folder.root}: label maps with more than {_MOST_CLASSES} values or colours, "
                "expected a value or colour for each class; they look like pictures, or JPEGs of "
                "label maps"
            )
    if len({isinstance(value, tuple) for value in seen}) > 1:
        raise LayoutError(
            f"{folder.root}: label maps of numbers and of colours, expected one kind ("
            + ", ".join(sorted(kinds)) + ")"
        )  # fmt: skip
    return seen


def read_map(file: Path) -> tuple[np.ndarray, str]:
    """The pixels of a label map, (H, W) numbers or (H, W, 3) RGB colours, and its kind in words.

    Raises:
        PictureError: It cannot be read, or has an orientation, which label maps have not.
        LabelError: Its pixels are no numbers or colours of classes.
    """
    is_tiff = file.suffix.lower() in (".tif", ".tiff")
    pixels = _read_tiff(file) if is_tiff else read_label_map(file)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.dtype.name not in _BITS:
        raise LabelError(
            f"{file}: label map of {pixels.dtype.name}, expected whole numbers of classes"
        )
    suffix = "TIFF" if is_tiff else "PNG"
    if pixels.ndim == 2:
        kind = "palette" if not is_tiff and _has_palette(file) else "index"
        return (pixels.astype(np.uint8) if pixels.dtype == bool else pixels), f"{kind} {suffix}"
    if pixels.shape[2] == 2 or pixels.shape[2] > 4 or pixels.dtype != np.uint8:
        raise LabelError(
            f"{file}: label map of {pixels.shape[2]} channels of {pixels.dtype.name}, expected "
            "one of numbers, or three of a colour for each class"
        )
    return pixels[..., :3], f"RGB {suffix}"


def classes_of(
    seen: Iterable[Value], given: ClassNames | None, folder: Folder, problems: list[Problem]
) -> tuple[tuple[ClassInfo, ...], dict[Value, int]]:
    """The classes of all values, and the label of each; a value without one has no label.

    255 has none, unless it is all that there is beside 0: then it is the second class.
    """
    values = set(seen)
    if any(isinstance(value, tuple) for value in values):
        return _of_colours(values, given, folder, problems)  # type: ignore[arg-type]
    numbers = {int(value) for value in values}  # type: ignore[arg-type]
    if given is None:
        if numbers <= {0, IGNORED}:
            names = {0: "background", IGNORED: "foreground"}
            numbers |= {0, IGNORED}
        else:
            numbers = _filled(numbers - {IGNORED})
            names = {value: f"class_{value}" for value in sorted(numbers)}
    else:
        names = given.names
        is_counted = not given.are_numbered
        if is_counted and numbers <= {0, IGNORED} and IGNORED in numbers and len(names) == 2:
            names = {0: names[min(names)], IGNORED: names[max(names)]}
        elif is_counted and _counts_from_one(numbers, names):
            names = {number + 1: name for number, name in names.items()}
        unknown = sorted(numbers - names.keys() - {IGNORED})
        if unknown and not (unknown == [0] and min(names, default=0) == 1):
            found = f"label values {shorten(unknown)} that no class has"
            problems.append(
                Problem(folder.root, found, f"{shorten(sorted(names))}, or {IGNORED} for no label")
            )
    order = sorted(names)
    colours = {} if given is None else given.colours
    classes = tuple(ClassInfo(names[value], value, colours.get(value)) for value in order)
    return classes, {value: label for label, value in enumerate(order)}


def _filled(numbers: set[int]) -> set[int]:
    """With the numbers between, where most are there: a few pictures need not have all classes."""
    every = set(range(min(numbers, default=0), max(numbers, default=-1) + 1))
    return every if len(every) < 2 * len(numbers) else numbers


def _counts_from_one(numbers: set[int], names: dict[int, str]) -> bool:
    """Whether n names, of which nobody gave a number, are of the values 1 to n."""
    return names.keys() == set(range(len(names))) and max(numbers - {IGNORED}, default=0) == len(
        names
    )


def _of_colours(
    values: set[tuple[int, int, int]],
    given: ClassNames | None,
    folder: Folder,
    problems: list[Problem],
) -> tuple[tuple[ClassInfo, ...], dict[Value, int]]:
    named = {} if given is None else given.by_colour()
    order = [*named, *sorted(values - named.keys())] if not named else list(named)
    unknown = sorted(values - set(order))
    if unknown:
        texts = [f"({r}, {g}, {b})" for r, g, b in unknown]
        found = f"colours {shorten(texts)} that no class has"
        problems.append(Problem(folder.root, found, "those of the list of classes"))
    classes = tuple(
        ClassInfo(named.get(colour, f"colour_{bytes(colour).hex()}"), colour, colour)
        for colour in order
    )
    return classes, {colour: label for label, colour in enumerate(order)}


class _Table:
    """Pixels of label maps -> labels, -1 for values without one."""

    def __init__(self, labels: dict[Value, int]) -> None:
        numbers = {_number(value): label for value, label in labels.items()}
        self._values = np.array(sorted(numbers), np.int64)
        self._labels = np.array([numbers[v] for v in self._values.tolist()], np.int32)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W) or (H, W, 3) -> (H, W) int32."""
        codes = _codes(pixels)
        if not len(self._values):
            return np.full(codes.shape, -1, np.int32)
        places = np.searchsorted(self._values, codes).clip(max=len(self._values) - 1)
        return np.where(self._values[places] == codes, self._labels[places], np.int32(-1))


def _number(value: Value) -> int:
    return value if isinstance(value, int) else value[0] << 16 | value[1] << 8 | value[2]


def _codes(pixels: np.ndarray) -> np.ndarray:
    """One number for each pixel, int64."""
    wide = pixels.astype(np.int64)
    return wide if wide.ndim == 2 else wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _count(pixels: np.ndarray) -> Counter:
    """Pixels of each value or colour."""
    if pixels.dtype == np.uint8 and pixels.ndim == 2:
        counts = np.bincount(pixels.ravel(), minlength=256)
        return Counter({int(v): int(counts[v]) for v in np.flatnonzero(counts)})
    codes, numbers = np.unique(_codes(pixels), return_counts=True)
    if pixels.ndim == 3:
        return Counter(
            {
                (c >> 16, c >> 8 & 255, c & 255): n
                for c, n in zip(codes.tolist(), numbers.tolist(), strict=True)
            }
        )
    return Counter(dict(zip(codes.tolist(), numbers.tolist(), strict=True)))


def _renumbered(counts: Counter, labels: dict[Value, int]) -> Counter:
    found = Counter[int]()
    for value, number in counts.items():
        found[labels.get(value, -1)] += number
    return found


def _picture(
    folder: Folder,
    image: PurePosixPath,
    file: PurePosixPath | None,
    splits: dict[str, str] | None,
    counts: Counter | None = None,
) -> LabelledPicture:
    split = split_of(image) if splits is None else splits.get(image.stem)
    path = None if file is None else folder.path(file)
    return LabelledPicture(name_of(image), folder.path(image), split, path, counts)


def _read_tiff(file: Path) -> np.ndarray:
    """(H, W) or (H, W, C): through rasterio, which knows every compression, else Pillow."""
    if not importable("rasterio"):
        return read_label_map(file)
    with open_raster(file) as raster:
        if raster.height * raster.width > _MOST_PIXELS:
            raise LabelError(
                f"{file}: label map of {raster.height} x {raster.width}, expected at most "
                f"{_MOST_PIXELS} pixels; cut it into tiles"
            )
        return np.ascontiguousarray(raster.read().transpose(1, 2, 0))


def _has_palette(file: Path) -> bool:
    with Image.open(file) as picture:
        return picture.mode == "P"
