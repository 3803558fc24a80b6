"""A config for other machines, without the paths of this one."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from .as_json import type_name

# What an evaluation and a prediction need: all that a loader of a published model takes.
FOR_TESTS = (
    "crop_size", "data_root", "default_scope", "model", "test_cfg", "test_dataloader",
    "test_evaluator", "test_pipeline", "tta_model", "tta_pipeline", "visualizer",
)  # fmt: skip
# Where files of one machine lie, in whatever part of a config.
_PLACES = frozenset({
    "allow_pickle", "backend_args", "file_client_args", "init_cfg", "out_dir", "out_file_path",
    "outfile_prefix", "output_dir", "pretrained", "save_dir", "vis_backends",
})  # fmt: skip
_OF_A_RUN = frozenset({"experiment_name", "launcher", "load_from", "resume", "work_dir"})
_ABSOLUTE = re.compile(r"[/~\\]|[A-Za-z]:[/\\]|[a-z0-9+]+://")
_IN_TEXT = re.compile(r"(?<![\w.:/~-])~?/[^\s'\",]*")


def without_places(value: Any) -> Any:
    """A copy of settings without keys that say where files lie; the classes' defaults serve."""
    if isinstance(value, Mapping):
        return {k: without_places(v) for k, v in value.items() if k not in _PLACES}
    if isinstance(value, list | tuple):
        return type(value)(without_places(item) for item in value)
    return value


def portable(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config without places, its data below ``data/NAME`` and types by their short names.

    A root that all its data sets share becomes its ``data_root``, which an option moves.
    """
    kept = {k: v for k, v in without_places(config).items() if k not in _OF_A_RUN}
    roots = _roots(kept)
    if len(roots) == 1:
        kept.setdefault("data_root", roots[0])
    return {key: _relative(value, roots, None) for key, value in kept.items()}


def is_absolute(text: str) -> bool:
    """Whether a setting names a place on one machine, or an address."""
    return bool(_ABSOLUTE.match(text))


def without_paths(text: str) -> str:
    """Text, such as a command, with the names of files in the place of absolute paths."""
    return _IN_TEXT.sub(lambda found: PurePath(found[0]).name or "/", text)


def _roots(value: Any) -> list[str]:
    """Every ``data_root`` in a config, longest first."""
    found: set[str] = set()
    if isinstance(value, Mapping):
        root = value.get("data_root")
        found |= {root} if isinstance(root, str) and root else set()
        value = list(value.values())
    if isinstance(value, list | tuple):
        found |= {root for item in value for root in _roots(item)}
    return sorted(found, key=len, reverse=True)


def _relative(value: Any, roots: list[str], inside: str | None) -> Any:
    """``inside`` is the ``data_root`` that the data set joins with the paths here."""
    if isinstance(value, Mapping):
        root = value.get("data_root")
        inside = root if isinstance(root, str) and root else inside
        made = {}
        for key, item in value.items():
            if key == "type" and isinstance(item, str):
                made[key] = type_name(item)
            else:
                made[key] = _relative(item, roots, None if key == "data_root" else inside)
        return made
    if isinstance(value, list | tuple):
        return type(value)(_relative(item, roots, inside) for item in value)
    if isinstance(value, str) and is_absolute(value):
        return _relative_path(value, roots, inside)
    return value


def _relative_path(path: str, roots: list[str], inside: str | None) -> str:
    for root in [inside] if inside else roots:
        if f"{path.rstrip('/')}/".startswith(f"{root.rstrip('/')}/"):
            below = path.rstrip("/")[len(root.rstrip("/")) :].strip("/")
            folder = "" if inside else f"data/{PurePath(root).name}"
            return "/".join(part for part in (folder, below) if part)
    return "/".join(part for part in PurePath(path).parts[-2:] if part.strip("/~\\"))
