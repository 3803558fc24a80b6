"""``publish``: a trained model as a folder that others load."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdam_mm.apis.loading import load_model
from fdam_mm.apis.sources import open_source, require_weights
from fdam_mm.checkpoints import load
from fdam_mm.checkpoints.saving import safetensors_of
from fdam_mm.errors import UsageError, WriteError
from fdam_mm.files import new_folder, write_atomically
from fdam_mm.visualization.colours import full_palette

from .card import write_card
from .description import CARD, NAME, Published, is_published
from .harmless import require_harmless
from .measured import read_metrics, read_versions
from .portable import FOR_TESTS, portable, without_places

_LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]*")
_NAME = re.compile(r"\w[\w.-]*")


def publish(
    source: str | Path,
    out: str | Path | None = None,
    *,
    checkpoint: str | Path | None = None,
    name: str | None = None,
    license: str | None = None,
    data: str | None = None,
    options: dict[str, Any] | None = None,
    allow_pickle: bool = False,
) -> Path:
    """Write a trained model as a folder: weights (safetensors), config, classes, metrics, card.

    Args:
        source: Work folder of a training, or a config file with ``checkpoint``.
        out: New folder; None is ``published`` in the work folder.
        checkpoint: Of the work folder another one than its best, else its newest.
        name: Of the model and in the name of its weights; None takes the work folder's.
        license: Identifier of the licence of the weights, as the hub writes it (``cc-by-4.0``).
        data: What it was trained on, in words or as ``OWNER/NAME`` on the hub.
        options: Settings that override the config's.
        allow_pickle: Also read a checkpoint that needs unpickling, which can run any code.

    Returns:
        The folder; :func:`fdam_mm.apis.load_model` takes it.

    Raises:
        UsageError: An argument cannot be used.
        WriteError: ``out`` is there and not empty, or cannot be written.
        MissingFileError, ConfigError, CheckpointError: The model cannot be loaded, or its config
            has settings that a loader would refuse.
    """
    source = Path(source)
    if is_published(source):
        raise UsageError(f"{source} is a published model already")
    name = name or (source.resolve().name if source.is_dir() else source.stem)
    _require_words(name, license, data)
    target = _target(source, out)
    require_weights(source, checkpoint)
    config, file, _ = open_source(source, checkpoint, options or {})
    assert file is not None
    kept = portable(config.to_dict())
    needed = {key: value for key, value in kept.items() if key in FOR_TESTS}
    require_harmless(without_places(needed), f"config {config.filename}")
    model: Any = load_model(config, file, "cpu", allow_pickle=allow_pickle)
    tensors = safetensors_of(model)
    digest = hashlib.sha256(tensors).hexdigest()
    read = load(file, allow_pickle)
    meta = read.get("meta")
    work_dir = source if source.is_dir() else source.parent
    classes = [str(each) for each in model.dataset_meta.get("classes") or ()]
    palette = full_palette(model.dataset_meta.get("palette"), len(classes))
    published = Published(
        name=name, weights=f"{name}-{digest[:8]}.safetensors", sha256=digest,
        averaged="ema_state_dict" in read, classes=classes,
        palette=[[int(c) for c in colour] for colour in palette],
        metrics=read_metrics(work_dir, meta if isinstance(meta, Mapping) else {}),
        data=data, license=license, versions=read_versions(work_dir), config=kept,
    )  # fmt: skip
    description, card = published.to_text(), write_card(published)
    with new_folder(target) as folder:
        write_atomically(folder / published.weights, tensors)
        write_atomically(folder / NAME, description)
        write_atomically(folder / CARD, card)
    return target


def _target(source: Path, out: str | Path | None) -> Path:
    """Raises UsageError, WriteError where nothing can be written there."""
    if out is None and not source.is_dir():
        raise UsageError(f"{source} is no work folder: name a folder for the model (--out)")
    target = Path(out) if out is not None else source / "published"
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise WriteError(f"{target} is there and not empty; name a new folder (--out)")
    return target


def _require_words(name: str, license: str | None, data: str | None) -> None:
    """Raises UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"the name is {name!r}, expected letters, digits, '_', '-' and '.' (--name)"
        )
    if license is not None and not _LICENSE.fullmatch(license):
        raise UsageError(
            f"the license is {license!r}, expected an identifier in small letters such as "
            "apache-2.0, cc-by-4.0, cc-by-nc-4.0 or other"
        )
    if data is not None and not data.strip():
        raise UsageError("data is empty, expected what the model was trained on")
