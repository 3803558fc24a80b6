"""One clear line for what is wrong in a config while it is read or built."""

import difflib
import inspect
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import Registry, build_from_cfg

from fdam_mm.errors import ConfigError, FDAMError, UsageError

from .recognised import (
    chain,
    frames_of,
    is_config_text,
    is_of_a_setting,
    is_of_the_machinery,
    is_ours,
)
from .walk import walk

_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r"missing \d+ required (?:\w+-?\w* )*arguments?: (.*)")
_UNKNOWN = re.compile(r"(\S+) is not in the (.+?) registry")
_MOST_LISTED = 30  # arguments of a class
_LONGEST = 400  # characters of another's message


@contextmanager
def config_errors(what: str, config: Config | None = None) -> Iterator[None]:
    """Turn an error inside into one line, if it is a setting's: :mod:`.recognised`.

    Args:
        what: The file or the keys that are read, to begin the line with.
        config: Where to look for the key of what could not be built.

    Raises:
        ConfigError: Says what, the key, the error and, where it arose in a toolkit, the line of
            code.
        FDAMError: Those that are clear already pass, and all others as they are.
    """
    try:
        yield
    except (ConfigError, UsageError) as error:
        key = _key_of_build(error, config)
        if not key or key in str(error):
            raise
        raise type(error)(f"{what}: {key}: {error}") from error
    except FDAMError:
        raise
    except Exception as error:
        if not is_of_a_setting(error):
            raise
        raise ConfigError(f"{what}: {_in_one_line(error, config)}") from error


class _Build(NamedTuple):
    """A call of mmengine's builder."""

    settings: Any
    kind: Any
    """The class or function; None where the name is unknown."""
    registry: Registry


def _builds_of(error: Exception) -> list[_Build]:
    return [
        _Build(
            frame.f_locals.get("cfg"), frame.f_locals.get("obj_cls"), frame.f_locals["registry"]
        )
        for frame, _ in frames_of(error)
        if frame.f_code is build_from_cfg.__code__
    ]


def _key_of_build(error: Exception, config: Config | None) -> str:
    """Where in a config the settings stand whose building raised ``error``; empty if nowhere."""
    builds = _builds_of(error)
    key = _key_of(builds[-1].settings, config) if builds else ""
    return key and key + _setting_in(str(error), builds[-1].settings)


def _in_one_line(error: Exception, config: Config | None) -> str:
    builds = _builds_of(error)
    key = _key_of(builds[-1].settings, config) if builds else ""
    if builds and (what := _message(error, builds[-1], key)):
        return what
    plain = _plain(error)
    if builds and key:
        most = 1 if str(error) else 2  # an assertion may compare two
        key += _setting_in(plain, builds[-1].settings, most)
    if found := _UNEXPECTED.search(plain):  # passed on, so that the class is not the one built
        key = next(_keys_named(found[1], config), key)
    return f"{key}: {plain}" if key else plain


def _message(error: Exception, build: _Build, key: str) -> str | None:
    """What the builder's own errors mean; None for others."""
    *_, (frame, _) = frames_of(error)
    if frame.f_code is not build_from_cfg.__code__:
        return None
    name = getattr(build.kind, "__name__", "it")
    dot = f"{key}." if key else ""
    text = str(error.args[0]) if error.args else ""
    if found := _UNKNOWN.search(text):
        near = difflib.get_close_matches(found[1], _names(build.registry), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "is its module in custom_imports?"
        return f"{dot}type: {found[1]} is not in the {found[2]} registry; {hint}"
    if found := _UNEXPECTED.search(text):
        takes = _arguments(build.kind)
        near = difflib.get_close_matches(found[1], takes, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it takes {_listed(takes)}"
        return f"{dot}{found[1]}: {name} got an unexpected keyword argument {found[1]!r}; {hint}"
    if found := _MISSING.search(text):
        return f"{key or name}: {name} needs {found[1]}"
    return None


def _plain(error: Exception) -> str:
    if isinstance(error, ImportError):  # mmengine's own lists sys.path
        first = list(chain(error))[-1]
        return f"{type(first).__name__}: {first}; PYTHONPATH names folders to look in"
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    message = message.strip().partition("\n")[0].partition(" More details can be found")[0]
    message = message or _source(error)
    if len(message) > _LONGEST:
        message = f"{message[:_LONGEST]}..."
    *_, (frame, _) = frames_of(error)
    if "layer_type" in frame.f_locals and "None" in message:  # mmcv's norms, activations, ...
        message = f"{frame.f_locals['layer_type']} is no layer that is known"
    return f"{type(error).__name__}: {message}{_place(error)}"


def _source(error: Exception) -> str:
    """The line of code, for what an assertion without a text demands."""
    line = traceback.extract_tb(error.__traceback__)[-1].line or ""
    asserted = re.match(r"assert\s+(.+)", line)
    return f"expected {asserted[1]}" if asserted else line


def _place(error: Exception) -> str:
    """The line of code, or of the config, where it arose."""
    named = [
        f" ({frame.f_code.co_filename}:{line})"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if is_config_text(frame) or not is_of_the_machinery(frame)
    ]
    *_, (last, _) = frames_of(error)
    return "" if is_ours(last) or not named else named[-1]


def _key_of(settings: Any, config: Config | None) -> str:
    """Where a config has these settings; a toolkit may have added some to them."""
    if not isinstance(settings, dict):
        return ""
    best, most = "", 0
    own = {name: value for name, value in settings.items() if name != "type"}
    for key, value in _all_settings(config):
        if not isinstance(value, dict):
            continue
        shared = sum(name in settings and settings[name] == value[name] for name in value)
        is_it = shared == len(value) or (own and all(value.get(n, None) == own[n] for n in own))
        if is_it and shared > most:
            best, most = key, shared
    return best or _only_place_of(settings.get("type"), config)


def _only_place_of(kind: Any, config: Config | None) -> str:
    """Where the settings of this type stand, if it is one place: a runner may change the rest."""
    places = [
        key
        for key, value in _all_settings(config)
        if kind is not None and isinstance(value, dict) and value.get("type") == kind
    ]
    return places[0] if len(places) == 1 else ""


def _setting_in(message: str, settings: Any, most: int = 1) -> str:
    """The settings, with their values, that a message speaks of; none if they are too many."""
    named = [
        n for n in settings if n != "type" and re.search(rf"\b{re.escape(str(n))}\b", message)
    ]
    said = " and ".join(f"{name} is {settings[name]!r}" for name in named)
    return f".{said}" if 0 < len(named) <= most else ""


def _keys_named(name: str, config: Config | None) -> Iterator[str]:
    return (key for key, _ in _all_settings(config) if key.rpartition(".")[2] == name)


def _all_settings(config: Config | None) -> Iterator[tuple[str, Any]]:
    for top in config or ():
        yield from walk(config[top], top)


def _names(registry: Registry) -> list[str]:
    names = list(registry.module_dict)
    return names + (_names(registry.parent) if registry.parent else [])


def _arguments(kind: Any) -> list[str]:
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]


def _listed(names: list[str]) -> str:
    more = ", ..." if len(names) > _MOST_LISTED else ""
    return f"{', '.join(names[:_MOST_LISTED]) or 'none'}{more}"
