"""Writing a start: rules applied to what was found, and the files."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fdam_mm.data.check.problems import Progress
from fdam_mm.data.own import Inspection, PictureFacts, Task, convert
from fdam_mm.data.own.claiming import claim
from fdam_mm.data.own.writers.dota import names_without_spaces
from fdam_mm.data.pictures.rasters import band_statistics
from fdam_mm.errors import DataError, UsageError
from fdam_mm.files import write_atomically
from fdam_mm.visualization.colours import full_palette

from .models import Model, find_model
from .numbers import Numbers
from .routes import route
from .rules import (
    Machine,
    anchor_scales,
    batch_size,
    class_weights,
    crop_side,
    iterations,
    learning_rate,
    tile_overlap,
    tile_side,
)
from .sets import Split, find_splits, write_coco, write_lists
from .texts import Start, classes_text, config_text, twin_text
from .tiles import Source, cut, divide, read_sources

_MARK = ".fdam_new.json"
"""In an unfinished start: what it is of."""


def write_start(
    found: Inspection,
    folder: Path,
    model: str | None = None,
    plain: bool = False,
    machine: Machine | None = None,
    progress: Progress = iter,
    task: Task | None = None,
    scratch: bool = False,
    tile: int | None = None,
) -> Numbers:
    """Write ``config.py``, its twin, ``classes.py`` and ``splits/`` into a new folder.

    After an interruption the same call goes on: tiles and converted labels are kept.

    Args:
        found: From :func:`fdam_mm.data.own.inspect`.
        folder: Must not be there, be empty, or be what an interrupted call left.
        model: A name that :func:`.models.find_model` takes; None takes the task's.
        plain: ``config.py`` is without FDAM, and ``fdam.py`` the twin with it.
        machine: That will train; None takes this one.
        progress: Wraps lists of pictures that are read.
        task: That the model is for, where the labels serve others than their own; None takes it.
        scratch: From drawn weights, whatever weights are there.
        tile: Side of the tiles of rotated boxes in pixels; None takes that of the rules.

    Returns:
        The numbers that the rules gave.

    Raises:
        UsageError: The folder is not empty, or the data, the task or the model do not fit.
        PreparationError: The labels cannot be converted.
    """
    task, machine = task or found.task, machine or Machine.here()
    to = route(found, task)
    chosen = find_model(model, task, scratch)
    if tile is not None and (task != "oriented" or tile < 64 or tile % 32):
        raise UsageError(f"--tile {tile}: a multiple of 32 from 64 on, for rotated boxes alone")
    work = dict(
        source=str(found.folder.resolve()), format=found.format, task=task, model=chosen.title,
        plain=plain, scratch=scratch, tile=tile,
    )  # fmt: skip
    with _begun(folder, work):
        said_root = str(found.folder.resolve())
        if to is not None:
            found = convert(found.folder, folder / "data", to, found.format, progress).after
            said_root = "{{ fileDirname }}/data"
        infos = [c.info for c in found.classes]
        if task == "panoptic":  # as write_coco sorts them
            infos.sort(key=lambda info: not info.is_thing)
        names = [info.name for info in infos]
        if task == "oriented":
            names = names_without_spaces(names, folder)
        given = _Given(found, task, chosen, machine, names, tile)
        write = _write_tiles if task == "oriented" else _write_splits
        splits, counts, numbers = write(given, folder, progress)
        colours: Iterable = [info.colour for info in infos]
        palette = full_palette(colours if all(colours) else None, len(names))  # type: ignore[arg-type]
        write_atomically(folder / "classes.py", classes_text(names, palette, numbers.weights))
        start = Start(
            task, chosen, found.folder.resolve(), said_root, splits, numbers, not plain, counts,
            found.labelled.zero_unlabelled, sum(info.is_thing for info in infos),
        )  # fmt: skip
        twin = "fdam.py" if plain else "plain.py"
        write_atomically(folder / twin, twin_text(chosen, plain))
        write_atomically(folder / "config.py", config_text(start))
    return numbers


@contextmanager
def _begun(folder: Path, work: dict[str, Any]) -> Iterator[None]:
    """Keep what there is after an interruption, nothing where the data do not fit."""
    claim(folder, _MARK, work)
    try:
        yield
    except (UsageError, DataError):
        shutil.rmtree(folder)
        raise
    (folder / _MARK).unlink()


@dataclass(frozen=True)
class _Given:
    """What a start is made from; ``tile`` is the side that was asked for."""

    found: Inspection
    task: Task
    model: Model
    machine: Machine
    names: Sequence[str]
    tile: int | None


_Written = tuple[dict[str, Split], dict[str, int], Numbers]


def _write_splits(given: _Given, new: Path, progress: Progress) -> _Written:
    """The set as it lies, with lists of names; COCO's JSONs too."""
    found, model, machine = given.found, given.model, given.machine
    splits = find_splits(found)
    train = splits["train"].pictures
    pictures = [p for split in splits.values() for p in split.pictures]
    mean, std = _bands(pictures, train, given.task, progress)
    shorter = [min(p.size) for p in train if p.size]
    numbers = _numbers(train, crop_side(shorter, model.side, machine), model, machine)
    weights = class_weights([c.pixels for c in found.classes])
    write_lists(splits, new)
    counts = {name: len(split.pictures) for name, split in splits.items()}
    if given.task == "semantic":
        return splits, counts, replace(numbers, weights=weights, mean=mean, std=std)
    if given.task == "detection":
        scale = numbers.side / numbers.size[0]  # as the pipeline resizes the pictures
        anchors = anchor_scales([scale * side for side in found.object_sides])
        numbers = replace(numbers, anchors=anchors)
    return write_coco(splits, new, given.task == "panoptic"), counts, numbers


def _write_tiles(given: _Given, new: Path, progress: Progress) -> _Written:
    """Pictures in pieces with their rotated boxes, whatever format they are in."""
    found, model, machine = given.found, given.model, given.machine
    splits = find_splits(found, single=True)
    train = splits["train"].pictures
    for split in splits.values():
        _require_rgb(split.pictures)
    sources = read_sources(found, splits, given.names, progress)
    if "val" not in sources:
        first, second = divide(sources["train"][0])
        sources |= dict(train=[first], val=[second])
        splits = splits | dict(val=replace(splits["train"], name="val"))
    lengths, sides = _extents(sources["train"])
    longer = [max(p.size) for p in train if p.size]
    objects = [length for of in lengths.values() for length in of]
    side = given.tile or tile_side(longer, objects, model.side, machine)
    overlap = tile_overlap(side, lengths)
    tiles = cut(sources, new / "tiles", side, overlap, progress)
    numbers = _numbers(train, side, model, machine, tiles.counts["train"])
    write_lists(splits, new)
    numbers = replace(
        numbers, overlap=overlap, anchors=anchor_scales(sides), unseen=tiles.unseen
    )  # fmt: skip
    return splits, tiles.counts, numbers


def _extents(sources: Sequence[Source]) -> tuple[dict[str, list[float]], list[float]]:
    """Longer sides of the objects by class, and the roots of all areas, in pixels."""
    corners = np.concatenate([source.labels.corners for source in sources])  # (N, 4, 2)
    edges = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)  # (N, 4)
    pair = np.maximum(edges[:, :2], edges[:, 2:])
    lengths: dict[str, list[float]] = {}
    categories = [name for source in sources for name in source.labels.categories]
    for name, length in zip(categories, pair.max(1).tolist(), strict=True):
        lengths.setdefault(name, []).append(length)
    return lengths, np.sqrt(pair.prod(1)).tolist()


def _numbers(
    train: Sequence[PictureFacts],
    side: int,
    model: Model,
    machine: Machine,
    pieces: int | None = None,
) -> Numbers:
    """From pictures to train on, or from their tiles where these are ``pieces``."""
    count = pieces or len(train)
    sizes = [p.size for p in train if p.size]
    batch = batch_size(count, side, model.gib, machine)
    longer, shorter = (int(np.median([f(size) for size in sizes])) for f in (max, min))
    return Numbers(
        side, (longer, shorter), batch, iterations(count, batch, machine),
        learning_rate(model.rate, model.batch, batch, model.pretrained),
    )  # fmt: skip


def _bands(
    pictures: Sequence[PictureFacts],
    train: Sequence[PictureFacts],
    task: Task,
    progress: Progress,
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the bands; empty for grey and RGB pictures of 8 bits.

    Raises:
        UsageError: The task's models take those alone, or the pictures are of several kinds.
    """
    if task != "semantic":
        _require_rgb(pictures)
    own = [p for p in pictures if not _is_rgb(p)]
    if not own:
        return [], []
    other = next((p for p in pictures if (p.bands, p.depth) != (own[0].bands, own[0].depth)), None)
    if other is not None:
        raise UsageError(
            f"{own[0].path} has {own[0].bands} bands of {own[0].depth}, {other.path} "
            f"{other.bands} of {other.depth}; expected one kind"
        )
    return band_statistics([p.path for p in train], progress=progress)


def _require_rgb(pictures: Iterable[PictureFacts]) -> None:
    """The toolkits' loader makes three bands of 8 bits of everything else, without a word."""
    for picture in pictures:
        if not _is_rgb(picture):
            raise UsageError(
                f"{picture.path} has {picture.bands} bands of {picture.depth}; fdam new serves "
                "such pictures with label maps (--task semantic), and grey and RGB pictures of 8 "
                "bits with all labels"
            )


def _is_rgb(picture: PictureFacts) -> bool:
    is_raster = picture.path.suffix.lower() in (".tif", ".tiff")
    return picture.depth in ("uint8", "bool") and not (is_raster and picture.bands > 3)
