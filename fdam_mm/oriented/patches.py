"""From the boxes of patches to those of whole pictures."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from fdam_mm.errors import ResultsError

from .boxes import OrientedBoxes, join
from .rotated_nms import rotated_nms

IOU_THRESHOLD = 0.1  # as in mmrotate
_NAME = re.compile(r"(?P<picture>.+?)__(?P<size>\d+)__(?P<left>\d+)___(?P<top>\d+)")

Patch = tuple[str, tuple[int, int, int]]  # picture; window's size, left and top in pixels


def parse_patch_name(name: str) -> Patch:
    """Split a patch's name, `PICTURE__SIZE__LEFT___TOP` as mmrotate's splitter writes it.

    Raises:
        ResultsError: the name is another.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise ResultsError(
            f"{name!r} is not the name of a patch, expected PICTURE__SIZE__LEFT___TOP, such as "
            "P0006__1024__0___824 (windows in the picture's own pixels)"
        )
    return match["picture"], (int(match["size"]), int(match["left"]), int(match["top"]))


def missing_patches(names: Iterable[str]) -> list[str]:
    """Return the names of patches that must lie between those that are here.

    The windows of one size over a picture form a grid: each left edge goes with each top edge. A
    row or column that is missing altogether cannot be noticed.

    Raises:
        ResultsError: a name is not that of a patch.
    """
    grids: dict[tuple[str, int], set[tuple[int, int]]] = defaultdict(set)
    for name in names:
        picture, (size, left, top) = parse_patch_name(name)
        grids[picture, size].add((left, top))
    missing = []
    for (picture, size), places in sorted(grids.items()):
        lefts, tops = (sorted(set(edges)) for edges in zip(*places, strict=True))
        whole = {(left, top) for left in lefts for top in tops}
        missing += [f"{picture}__{size}__{x}___{y}" for x, y in sorted(whole - places)]
    return missing


def merge_windows(
    windows: Sequence[tuple[tuple[int, int], OrientedBoxes]],
    iou_threshold: float = IOU_THRESHOLD,
) -> OrientedBoxes:
    """Merge the boxes of one picture's windows, each given with its left and top in pixels."""
    moved = []
    for corner, found in windows:
        boxes = found.boxes.astype(np.float64)
        boxes[:, :2] += corner
        moved.append(OrientedBoxes(boxes, found.scores, found.labels))
    every = join(moved)
    return every.select(rotated_nms(every.boxes, every.scores, every.labels, iou_threshold))


def merge_patches(
    patches: Mapping[str, OrientedBoxes],
    iou_threshold: float = IOU_THRESHOLD,
    progress: Callable[[list[str]], Iterable[str]] = iter,
) -> dict[str, OrientedBoxes]:
    """Merge patches into their pictures; boxes of one class compete, best score first.

    Args:
        patches: boxes by the patch's name.
        iou_threshold: IoU at which the worse of two boxes goes.
        progress: wraps the list of pictures, to show how far the work is (`tqdm` fits).

    Returns:
        Boxes in the pixels of the whole picture, by its name.

    Raises:
        ResultsError: a name is not that of a patch.
    """
    windows: dict[str, list[tuple[tuple[int, int], OrientedBoxes]]] = defaultdict(list)
    for name, found in patches.items():
        picture, (_, left, top) = parse_patch_name(name)
        windows[picture].append(((left, top), found))
    names = sorted(windows)
    return {name: merge_windows(windows[name], iou_threshold) for name in progress(names)}
