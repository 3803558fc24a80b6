"""The tiles of a start: pictures with rotated boxes in pieces, as mmrotate reads them.

    tiles/SPLIT/images/NAME__SIDE__X___Y.png        SIDE x SIDE
    tiles/SPLIT/annfiles/NAME__SIDE__X___Y.txt      its objects, in DOTA's format

X and Y are pixels of the whole picture, from which mmrotate's and our merging put it together.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from fdam_mm.data.check.problems import Progress
from fdam_mm.data.formats.dota import Labels
from fdam_mm.data.own import Inspection, LabelledObject, LabelledPicture, ObjectLabels
from fdam_mm.data.own.converting import places
from fdam_mm.data.own.shapes import corners_of, mask_of
from fdam_mm.data.own.writers.base import Placed
from fdam_mm.data.pictures.rows import read_windows
from fdam_mm.data.pictures.windows import place_windows
from fdam_mm.data.prepare.dota_patches import labels_in_windows
from fdam_mm.data.prepare.dota_split import KINDS, patch_names, write_labels, write_patches
from fdam_mm.data.prepare.workers import map_in_order

from .sets import Split

_HELD_OUT = 0.2  # of a single picture, to validate
_EACH = 8  # pictures for a process to be worth its start

Region = tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclass(frozen=True, eq=False)
class Source:
    """A picture, or a part of one, to be cut.

    Attributes:
        image: The file.
        name: Of its tiles; no other picture has it.
        region: The part.
        labels: Of the whole picture.
    """

    image: Path
    name: str
    region: Region
    labels: Labels


@dataclass(frozen=True)
class Job:
    """A source, the folder of its split's tiles, and how they are cut."""

    source: Source
    folder: Path
    side: int
    overlap: int


@dataclass(frozen=True)
class Tiles:
    """What was cut.

    Attributes:
        counts: Tiles by split.
        unseen: Objects by class that no tile shows enough of, being longer than the overlap.
    """

    counts: dict[str, int]
    unseen: Mapping[str, int]


def read_sources(
    found: Inspection, splits: Mapping[str, Split], classes: Sequence[str], progress: Progress
) -> dict[str, list[Source]]:
    """The pictures of each split with their rotated boxes.

    Raises:
        DataError: Labels are broken.
    """
    placed = {picture.image: (picture, place) for picture, place in places(found.labelled)}
    sources: dict[str, list[Source]] = {}
    for name, split in splits.items():
        listed = [placed[facts.path] for facts in split.pictures]
        sources[name] = [_source(found, *both, classes) for both in progress(listed)]
    return sources


def divide(source: Source) -> tuple[Source, Source]:
    """One picture for two splits: the last fifth of its longer side is the second."""
    left, top, right, bottom = source.region
    if right - left >= bottom - top:
        edge = right - round(_HELD_OUT * (right - left))
        parts = (left, top, edge, bottom), (edge, top, right, bottom)
    else:
        edge = bottom - round(_HELD_OUT * (bottom - top))
        parts = (left, top, right, edge), (left, edge, right, bottom)
    return replace(source, region=parts[0]), replace(source, region=parts[1])


def cut(
    sources: Mapping[str, Sequence[Source]],
    folder: Path,
    side: int,
    overlap: int,
    progress: Progress,
) -> Tiles:
    """Write the tiles of all splits, in several processes where pictures are many.

    Tiles that an interrupted call wrote are kept, unless their picture is newer; others go.

    Args:
        sources: By split.
        folder: For a folder of each split.
        side: Of a tile in pixels.
        overlap: Pixels that neighbours share.
        progress: Wraps the list of pictures.

    Raises:
        PictureError: A picture cannot be read.
    """
    for name in sources:
        for kind in KINDS:
            (folder / name / kind).mkdir(parents=True, exist_ok=True)
    jobs = [Job(s, folder / name, side, overlap) for name, of in sources.items() for s in of]
    workers = min(os.cpu_count() or 1, 8, max(1, len(jobs) // _EACH))
    names: dict[str, set[str]] = {name: set() for name in sources}
    done = map_in_order(cut_one, jobs, workers)
    unseen: Counter[str] = Counter()
    for job in progress(jobs):
        written, missed = next(done)
        names[job.folder.name].update(written)
        unseen.update(missed)
    for split, kept in names.items():
        for file in (file for kind in KINDS for file in (folder / split / kind).iterdir()):
            if file.stem not in kept:
                file.unlink()
    return Tiles({split: len(kept) for split, kept in names.items()}, unseen)


def cut_one(job: Job) -> tuple[list[str], list[str]]:
    """Write the tiles of one source; returns their names and the classes of unseen objects."""
    source = job.source
    left, top, right, bottom = source.region
    windows = place_windows(right - left, bottom - top, (job.side,), (job.overlap,))
    moved = replace(source.labels, corners=source.labels.corners - [left, top])
    found = labels_in_windows(moved, windows, right - left, bottom - top)
    windows = windows + [left, top, left, top]
    names = patch_names(source.name, windows)
    whole = [_is_whole(job.folder, name, source.image) for name in names]
    for name, labels, is_whole in zip(names, found.windows, whole, strict=True):
        if is_whole:  # its labels may have changed
            write_labels(job.folder, name, labels)
    left_out = [index for index, is_whole in enumerate(whole) if not is_whole]
    windows, objects = windows[left_out], [found.windows[index] for index in left_out]
    if left_out:
        inside = np.minimum(windows, [right, bottom, right, bottom])
        pixels = _pixels(source.image, inside)
        write_patches(job.folder, source.name, windows, objects, pixels)
    return names, [source.labels.categories[index] for index in found.unseen]


def _is_whole(folder: Path, name: str, image: Path) -> bool:
    """Whether a tile was written after its picture; its labels come after its pixels."""
    file = folder / "annfiles" / f"{name}.txt"
    return file.is_file() and file.stat().st_mtime_ns > image.stat().st_mtime_ns


def _pixels(image: Path, windows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """As ``read_windows``; GeoTIFFs of any size window by window."""
    if image.suffix.lower() not in (".tif", ".tiff"):
        return read_windows(image, windows)
    from fdam_mm.apis.inputs import find_pictures

    return find_pictures(image)[0].windows(windows)


def _source(
    found: Inspection, picture: LabelledPicture, placed: Placed, classes: Sequence[str]
) -> Source:
    labels = found.labelled.read(picture)
    assert isinstance(labels, ObjectLabels)
    height, width = placed.size
    objects = [o for o in labels.objects if not o.crowd]
    corners = [(_corners(o, placed.size), o) for o in objects]
    kept = [(c, o) for c, o in corners if c is not None]
    return Source(
        picture.image, placed.name.replace("/", "__"), (0, 0, width, height),
        Labels(
            np.array([c for c, _ in kept], np.float64).reshape(-1, 4, 2),
            [classes[o.label] for _, o in kept],
            [o.difficult for _, o in kept],
        ),
    )  # fmt: skip


def _corners(found: LabelledObject, size: tuple[int, int]) -> np.ndarray | None:
    """(4, 2): its rotated box, the smallest around its mask, or its upright box; None without."""
    if found.corners is not None:
        return found.corners
    if found.polygons:
        points = np.concatenate(found.polygons)
    elif found.rle is not None:
        placed = mask_of(found, size)
        if placed is None:
            return None
        mask, corner = placed
        rows, columns = np.nonzero(mask)
        pixels = np.stack([columns, rows], axis=1) + corner
        points = np.concatenate([pixels + shift for shift in ((0, 0), (0, 1), (1, 0), (1, 1))])
    else:
        return corners_of(found.box)
    return cv2.boxPoints(cv2.minAreaRect(points.astype(np.float32))).astype(np.float64)
