"""Where a model comes from: a config, a work folder, a published folder, an address of a hub."""

from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from fdam_mm.errors import UsageError
from fdam_mm.training.config import override_config, read_config
from fdam_mm.training.work_dir import find_checkpoint, find_config

_HUB = "hf://"


class Source(NamedTuple):
    """A model that can be built.

    Attributes:
        config: Overridden.
        checkpoint: Its weights; None where a config alone was given.
        dataset_meta: Classes and palette, where the source itself knows them.
    """

    config: Config
    checkpoint: str | Path | None
    dataset_meta: dict[str, Any]


def has_weights(source: str | Path) -> bool:
    """Whether a source brings a checkpoint: a folder or an address, not a config."""
    return str(source).startswith(_HUB) or Path(source).is_dir()


def require_weights(source: str | Path, checkpoint: str | Path | None) -> None:
    """See that there are weights, before anything is read.

    Raises:
        UsageError: The source is a config, and no checkpoint was named.
    """
    if checkpoint is None and not has_weights(source):
        raise UsageError(f"{source} is no work folder: name a checkpoint with a config")


def name_of(source: str | Path) -> str:
    """A short name of a source, for files and messages."""
    text = str(source)
    if text.startswith(_HUB):
        return text.rpartition("/")[2].partition("@")[0]
    path = Path(text)
    return path.resolve().name if path.is_dir() else path.stem


def open_source(
    source: str | Path | Config,
    checkpoint: str | Path | None,
    options: dict[str, Any],
    whole: bool = True,
) -> Source:
    """Read what a source names, with ``options`` that override its config.

    Args:
        source: A config file or a loaded config; a work folder, which stands for the config in it
            and for its best, else its newest checkpoint; the folder of a published model, or its
            address ``hf://USER/MODEL[@REVISION]``, which is fetched.
        checkpoint: In the place of the source's own.
        whole: Take a work folder's own checkpoint; False where a delta stands for it.

    Raises:
        MissingFileError, ConfigError, UsageError, HubError: It cannot be read.
    """
    if isinstance(source, Config):
        source = source.copy()
        source.merge_from_dict(options)
        return Source(source, checkpoint, {})
    if str(source).startswith(_HUB):
        from fdam_mm.publishing.hub import fetch

        source = fetch(str(source))
    folder = Path(source)
    if not folder.is_dir():
        return Source(read_config(str(source), options), checkpoint, {})
    from fdam_mm.publishing.description import is_published, open_published

    if is_published(folder):
        published, config, weights = open_published(folder)
        meta: dict[str, Any] = {}
        if published.classes:
            meta = dict(classes=published.classes, palette=published.palette)
        return Source(override_config(config, options), checkpoint or weights, meta)
    file = find_config(folder)
    if checkpoint is None and whole:
        checkpoint = find_checkpoint(folder)
    return Source(read_config(str(file), options), checkpoint, {})
