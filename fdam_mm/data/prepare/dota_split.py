"""Split one DOTA picture into patches, with the names and by the rules of mmrotate's splitter.

    images/NAME__SIZE__X___Y.png        SIZE x SIZE, padded where it sticks out of the picture
    annfiles/NAME__SIZE__X___Y.txt      its objects; empty without any

Several scales mean windows of several sizes, cut out of the picture as it is: the loader resizes
them, and X and Y stay pixels of the picture.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fdam_mm.data.demo.layout import write_picture
from fdam_mm.data.formats.dota import Labels, Picture, format_labels, read_labels
from fdam_mm.data.pictures.rows import pad_patch, picture_size, read_windows
from fdam_mm.data.pictures.windows import place_windows
from fdam_mm.errors import LabelError, PictureError

from .dota_patches import labels_in_windows

KINDS = {"images": ".png", "annfiles": ".txt"}  # folders of a split and what they hold
PADDING = (104, 116, 124)  # BGR, the mean of ImageNet


@dataclass(frozen=True)
class Scales:
    """Windows of one kind of split.

    Attributes:
        folder: name of the folder to make.
        sizes: sides of the windows in pixels.
        overlaps: pixels that neighbours share, one number for each size.
    """

    folder: str
    sizes: tuple[int, ...]
    overlaps: tuple[int, ...]

    @classmethod
    def of_rates(cls, folder: str, overlap: int, rates: tuple[float, ...]) -> "Scales":
        """At the rate of 0.5 a window has twice the size, and the loader halves it."""
        sizes = tuple(int(1024 / rate) for rate in rates)
        return cls(folder, sizes, tuple(int(overlap / rate) for rate in rates))


SCALES = {
    "ss": Scales.of_rates("split_ss_dota", 200, (1.0,)),
    "ms": Scales.of_rates("split_ms_dota", 500, (0.5, 1.0, 1.5)),
}


@dataclass(frozen=True)
class Job:
    """A picture to split.

    Attributes:
        picture: the source.
        partial: folder for unfinished work, of this picture alone.
        folders: where the patches go, each with all of them.
        scales: the windows.
    """

    picture: Picture
    partial: Path
    folders: tuple[Path, ...]
    scales: Scales


@dataclass(frozen=True)
class Outcome:
    """What became of one picture.

    Attributes:
        name: of the picture.
        stamp: sizes and times of its files, to notice when they change.
        patches: names of the patches.
        labels: number of labels in all of them.
        outside: number of objects that lie outside the picture.
        unseen: number of other objects that are in no patch, being larger than the overlap.
        error: why there are no patches, or None.
    """

    name: str
    stamp: list[int]
    patches: list[str]
    labels: int = 0
    outside: int = 0
    unseen: int = 0
    error: str | None = None


def split_picture(job: Job) -> Outcome:
    """Write the patches of one picture, all or none.

    Raises:
        OSError: the disk refuses.
    """
    shutil.rmtree(job.partial, ignore_errors=True)
    for kind in KINDS:
        (job.partial / kind).mkdir(parents=True)
    try:
        outcome = _write_patches(job)
        _publish(job, outcome.patches)
    except (PictureError, LabelError) as error:
        outcome = Outcome(job.picture.name, stamp(job.picture), [], error=str(error))
    shutil.rmtree(job.partial)
    return outcome


def stamp(picture: Picture) -> list[int]:
    """Return sizes in bytes and times of change of a picture's files; empty when they are gone."""
    files = [picture.image] if picture.labels is None else [picture.image, picture.labels]
    try:
        states = [file.stat() for file in files]
    except OSError:
        return []
    return [number for state in states for number in (state.st_size, state.st_mtime_ns)]


def _write_patches(job: Job) -> Outcome:
    picture = job.picture
    before = stamp(picture)
    size = picture_size(picture.image)
    windows = place_windows(size.width, size.height, job.scales.sizes, job.scales.overlaps)
    labels = read_labels(picture.labels) if picture.labels else Labels(np.zeros((0, 4, 2)), [], [])
    found = labels_in_windows(labels, windows, size.width, size.height)
    names = write_patches(
        job.partial, picture.name, windows, found.windows, read_windows(picture.image, windows)
    )
    return Outcome(
        name=picture.name,
        stamp=before,
        patches=names,
        labels=sum(len(window.categories) for window in found.windows),
        outside=len(found.outside),
        unseen=len(found.unseen),
    )


def write_patches(
    folder: Path,
    name: str,
    windows: np.ndarray,
    labels: Sequence[Labels],
    pixels: Iterable[tuple[int, np.ndarray]],
) -> list[str]:
    """Write patches of one picture, padded where their pixels are less than their window.

    Args:
        folder: with the folders of `KINDS`.
        name: of the picture.
        windows: (N, 4) ints: left, top, right, bottom in the picture; squares.
        labels: of each window.
        pixels: index of a window and its part inside the picture, (h, w, 3) uint8 BGR.

    Returns:
        The patches' names, by window.
    """
    names = patch_names(name, windows)
    for index, part in pixels:
        size = int(windows[index, 2] - windows[index, 0])
        write_picture(folder / "images" / f"{names[index]}.png", pad_patch(part, size, PADDING))
        write_labels(folder, names[index], labels[index])
    return names


def patch_names(name: str, windows: np.ndarray) -> list[str]:
    """Of the patches of one picture, by window, (N, 4)."""
    return [f"{name}__{right - left}__{left}___{top}" for left, top, right, _ in windows]


def write_labels(folder: Path, patch: str, labels: Labels) -> None:
    """Write the objects of a patch."""
    file = folder / "annfiles" / f"{patch}.txt"
    file.write_text(format_labels(labels), encoding="utf-8", newline="\n")


def _publish(job: Job, patches: list[str]) -> None:
    """Move finished patches to their first folder and link them in the others."""
    for kind, suffix in KINDS.items():
        for patch in patches:
            made = job.partial / kind / f"{patch}{suffix}"
            for folder in job.folders[1:]:
                _link(made, folder / kind / made.name)
            made.replace(job.folders[0] / kind / made.name)


def _link(file: Path, target: Path) -> None:
    """Make the target the same file, or a copy of it where the disk has no hard links."""
    target.unlink(missing_ok=True)
    try:
        os.link(file, target)
    except OSError:
        copy = file.with_suffix(".copy")
        shutil.copyfile(file, copy)
        copy.replace(target)
