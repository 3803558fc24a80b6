"""Reading a config, overriding it, and seeing that what it names is there."""

import copy
import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

import fdam_mm.openmmlab  # noqa: F401  before a config is read: it names our types, and mmseg::
from fdam_mm.errors import ConfigError, MissingFileError, UsageError
from fdam_mm.toolkits.patches.packaged_configs import SHIPPED
from fdam_mm.toolkits.quiet import quiet

from .config_errors import config_errors
from .structure import refuse_wrong_structure
from .top_names import refuse_misspelt, refuse_names_that_do_nothing
from .values import refuse_wrong_values

_OF_TRAINING = ("last_checkpoint", "best_*.pth", "epoch_*.pth", "iter_*.pth")  # mmengine's files


def read_config(path: str, options: dict[str, Any]) -> Config:
    """Read a config and override it.

    ``data_root`` among the options moves every path of the dataloaders and evaluators that lies
    under the config's own ``data_root``.

    Raises:
        MissingFileError: No such file, here or in the project; names the nearest ones.
        UsageError: It is no config, or an option does not fit it.
    """
    file = next((f for f in (Path(path), SHIPPED / path) if f.is_file()), None)
    if file is None:
        if Path(path).is_dir():
            raise UsageError(f"config {path} is a folder, expected a file (.py, .json, .yaml)")
        shipped = (SHIPPED / "configs").rglob("*.py")
        known = [str(f.relative_to(SHIPPED)) for f in shipped if f.parent.name != "_base_"]
        near = difflib.get_close_matches(path, known, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise MissingFileError(f"config {path} does not exist{hint}")
    with config_errors(f"config {file}"), quiet():  # custom_imports of toolkits
        config = Config.fromfile(file)
    return override_config(config, options)


def override_config(config: Config, options: dict[str, Any]) -> Config:
    """Override a loaded config, in place, as :func:`read_config` does.

    Raises:
        ConfigError, UsageError: It is no config, or an option does not fit it.
    """
    refuse_misspelt(config)
    refuse_names_that_do_nothing(options, config)
    old_root, new_root = config.get("data_root"), options.get("data_root")
    if "data_root" in options and not isinstance(new_root, str):
        raise UsageError(f"--cfg-options data_root: expected a folder, found {new_root!r}")
    for key, value in options.items():
        _override(config, key, value)
    refuse_wrong_structure(config)
    if old_root and new_root:
        _move_data(config, old_root, new_root)
    refuse_wrong_values(config)
    return config


def _override(config: Config, key: str, value: Any) -> None:
    """Set ``key``, whose parts are keys of dicts and indices of lists.

    A dict is merged into a dict that is there, unless it says ``_delete_=True``.

    Raises:
        UsageError: A part of ``key`` does not exist or has no parts.
    """
    *parents, last = key.split(".")
    inner: Any = config
    for depth, part in enumerate(parents):
        index = _index(inner, part, key, ".".join(parents[:depth]))
        if isinstance(index, str) and index not in inner:
            inner[index] = ConfigDict()
        inner = inner[index]
    index = _index(inner, last, key, ".".join(parents))
    there = not isinstance(index, str) or index in inner
    value = ConfigDict(value=copy.deepcopy(value)).value  # dicts inside become ConfigDicts
    inner[index] = _merged(inner[index], value) if there else value


def _index(inner: Any, part: str, key: str, before: str) -> str | int:
    """What takes the item ``part`` of ``inner``."""
    if isinstance(inner, Config | dict):
        return part
    if not isinstance(inner, list):
        whole = "[...]" if part.isdecimal() else f"dict({part}=...)"
        raise UsageError(
            f"--cfg-options {key}: {before} is {inner!r}, which has no {part}; set it whole: "
            f'{before}="{whole}"'
        )
    if not part.isdecimal() or int(part) >= len(inner):
        raise UsageError(
            f"--cfg-options {key}: {before} is a list of {len(inner)}, {part!r} is no index of it"
        )
    return int(part)


def _merged(old: Any, new: Any) -> Any:
    if not isinstance(new, dict):
        return new
    replaces = new.pop("_delete_", False)
    if replaces or not isinstance(old, dict):
        return new
    merged = old.copy()
    for key, value in new.items():
        merged[key] = _merged(merged[key], value) if key in merged else value
    return merged


def _move_data(config: Config, old_root: str, new_root: str) -> None:
    """Raises UsageError where nothing lies under ``old_root``."""
    moved = [
        _move_paths(settings, old_root.rstrip("/"), new_root.rstrip("/"))
        for name, settings in config.items()
        if settings is not None and name.endswith(("_dataloader", "_evaluator"))
    ]
    if moved and not any(moved):
        raise UsageError(
            f"--cfg-options data_root: no path of the config's dataloaders lies under {old_root}, "
            "its data_root; set theirs, e.g. train_dataloader.dataset.data_root"
        )


def _move_paths(settings: Any, old_root: str, new_root: str) -> int:
    """Returns how many were moved."""
    num_moved = 0
    items = settings.items() if isinstance(settings, dict) else enumerate(settings)
    for key, value in list(items):
        if isinstance(value, dict | list):
            num_moved += _move_paths(value, old_root, new_root)
        elif isinstance(value, str) and f"{value}/".startswith(f"{old_root}/"):
            settings[key] = new_root + value[len(old_root) :]
            num_moved += 1
    return num_moved


def require_parts(config: Config, *names: str) -> None:
    """See that a config has what a run needs.

    Raises:
        ConfigError: It lacks one, or it is None.
    """
    missing = [name for name in names if not config.get(name)]
    if missing:
        raise ConfigError(
            f"config {config.filename} has no {' and no '.join(missing)}; a run of it needs "
            f"{', '.join(names)}"
        )


def require_data(config: Config, *splits: str) -> None:
    """See that the folders and annotation files of ``splits`` (train, val, test) are there.

    The toolkits say it in as many ways as they have data sets, some of them hard to read.

    Raises:
        UsageError: One is missing; names it.
    """
    for loader in (f"{split}_dataloader" for split in splits):
        for dataset in _datasets(config.get(loader)):
            path = Path(dataset["data_root"], dataset.get("ann_file") or "")
            if not path.exists():
                raise UsageError(
                    f"{path} of the config's {loader} does not exist. Prepare the data, see "
                    "tools/prepare_data.py --help, or say where it is: --cfg-options "
                    "data_root=FOLDER; tools/check_data.py CONFIG checks it"
                )


def _datasets(settings: Any) -> Iterator[dict[str, Any]]:
    """Settings of data sets on a local disk, however deep they stand."""
    if isinstance(settings, dict):
        if settings.get("data_root") and not settings.get("backend_args"):
            yield settings
        settings = list(settings.values())
    if isinstance(settings, list):
        for value in settings:
            yield from _datasets(value)


def refuse_overwriting(config: Config) -> None:
    """A new training in the folder of an old one would replace its checkpoints.

    Raises:
        UsageError: ``work_dir`` holds a training's files, and ``resume`` is off or names a
            checkpoint of another folder.
    """
    folder = Path(config.work_dir)
    old = [file for pattern in _OF_TRAINING for file in sorted(folder.glob(pattern))]
    if old and not config.get("resume"):
        raise UsageError(
            f"{config.work_dir} holds {old[-1].name} of an earlier training. "
            "Go on with it: --resume. Start afresh: --work-dir ANOTHER_FOLDER"
        )
    source = config.get("load_from") if config.get("resume") is True else None
    if old and source and Path(source).resolve().parent != folder.resolve():
        raise UsageError(
            f"{config.work_dir} holds {old[-1].name} of another training than {source}, which "
            f"would write over it. Go on with the one there: --resume. Go on with {source}: "
            "--work-dir ANOTHER_FOLDER"
        )
