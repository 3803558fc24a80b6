"""Writing a start: rules applied to what was found, and the files."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fdam_mm.data.own import Inspection, PictureFacts
from fdam_mm.errors import UsageError
from fdam_mm.files import new_folder, write_atomically
from fdam_mm.visualization.colours import full_palette

from .models import Model, find_model
from .rules import (
    Machine,
    batch_size,
    class_weights,
    crop_side,
    iterations,
    learning_rate,
)
from .sets import Split, find_splits, write_coco, write_lists
from .texts import Numbers, classes_text, instance_text, semantic_text, twin_text


def write_start(
    found: Inspection,
    folder: Path,
    model: str | None = None,
    plain: bool = False,
    machine: Machine | None = None,
) -> Numbers:
    """Write ``config.py``, its twin, ``classes.py`` and ``splits/`` into a new folder.

    Args:
        found: From :func:`fdam_mm.data.own.inspect`.
        folder: Must not be there, or be empty.
        model: A name that :func:`.models.find_model` takes; None takes the task's.
        plain: ``config.py`` is without FDAM, and ``fdam.py`` the twin with it.
        machine: That will train; None takes this one.

    Returns:
        The numbers that the rules gave.

    Raises:
        UsageError: The folder is not empty, or the data or the model do not fit.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and not empty; nothing is ever overwritten")
    chosen = find_model(model, found.task)
    splits = find_splits(found)
    numbers = _numbers(found, chosen, splits, machine or Machine.here())
    task = found.task
    if folder.exists():
        folder.rmdir()
    with new_folder(folder) as new:
        write_lists(splits, new)
        if task == "instance":
            splits = write_coco(splits, new)
        text = {"semantic": semantic_text, "instance": instance_text}[task]
        write_atomically(new / "config.py", text(found, chosen, splits, numbers, not plain))
        twin = "fdam.py" if plain else "plain.py"
        write_atomically(new / twin, twin_text(task, plain))
        names = [c.name for c in found.classes]
        given: Iterable = [c.info.colour for c in found.classes]
        palette = full_palette(given if all(given) else None, len(names))  # type: ignore[arg-type]
        write_atomically(new / "classes.py", classes_text(names, palette, numbers.weights))
    return numbers


def _numbers(
    found: Inspection, model: Model, splits: dict[str, Split], machine: Machine
) -> Numbers:
    train = splits["train"].pictures
    sizes = [p.size for p in train if p.size]
    side = crop_side([min(size) for size in sizes], model.side, machine)
    batch = batch_size(len(train), side, model.gib, machine)
    weights = class_weights([c.pixels for c in found.classes])
    _require_rgb(found, train)
    longer, shorter = (int(np.median([f(size) for size in sizes])) for f in (max, min))
    return Numbers(
        side, (longer, shorter), batch, iterations(len(train), batch, machine),
        learning_rate(model.rate, model.batch, batch, model.pretrained),
        weights if found.task == "semantic" else None,
    )  # fmt: skip


def _require_rgb(found: Inspection, pictures: Iterable[PictureFacts]) -> None:
    """The toolkits' loader makes three bands of 8 bits of everything else, without a word."""
    for picture in pictures:
        is_raster = picture.path.suffix.lower() in (".tif", ".tiff")
        if picture.depth not in ("uint8", "bool") or (is_raster and picture.bands > 3):
            raise UsageError(
                f"{picture.path} has {picture.bands} bands of {picture.depth}; fdam new serves "
                "grey and RGB pictures of 8 bits"
            )
