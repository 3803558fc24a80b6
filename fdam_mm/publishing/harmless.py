"""Seeing that settings from others cannot do more than build registered models.

mmengine takes a ``type`` that it does not know for a dotted path, imports it and calls it with
the rest of the dict: ``dict(type="subprocess.Popen", args=...)`` would run. It imports the package
of a ``_scope_``, and some classes of the toolkits ``eval`` a setting or fetch by themselves.
"""

import re
from importlib.util import find_spec
from typing import Any

from mmengine import registry
from mmengine.registry import Registry

from fdam_mm.errors import ConfigError
from fdam_mm.toolkits.registration import TOOLKITS, register_toolkit
from fdam_mm.training.walk import walk

from .fetchers import fetcher_of
from .portable import is_absolute

_TYPES = ("type", "of")  # settings that name what is built; "of" is WithFDAM's
_SCOPES = (*TOOLKITS, "mmengine")
_PLAIN = re.compile(r"[\w.,+*/ -]*")  # no quotes, no brackets: nothing that eval could call
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_OF_FILES = re.compile(r"ann_file|\w*(prefix|path|suffix|root)")
_SEEN = 80  # characters of a value in a message


def require_harmless(config: dict[str, Any], origin: str) -> None:
    """See that every setting is text, a number or a registered type, which fetches nothing.

    Text must have no quotes or brackets, no absolute path, address or way upwards, and must not
    name Python's modules; the names of classes are free.

    Raises:
        ConfigError: One is not; names the key, the value and what was expected.
    """
    scope = config.get("default_scope")
    if scope not in TOOLKITS:
        raise ConfigError(
            f"{origin}: config.default_scope is {scope!r}, expected one of {', '.join(TOOLKITS)}"
        )
    for key, value in walk(config, "config"):
        if problem := _problem(key, value, scope):
            raise ConfigError(
                f"{origin}: {key} is {repr(value)[:_SEEN]}, {problem}. Models of others are "
                "loaded from data alone; if you trust this one, write a config.py of your own "
                "and give it with the weights"
            )


def _problem(key: str, value: Any, scope: str) -> str:
    if value is None or isinstance(value, bool | int | float | dict | list | tuple):
        return ""
    if not isinstance(value, str):
        return f"a {type(value).__name__}; expected text, numbers, lists and dicts"
    *_, last = parts = key.split(".")
    name = next(part for part in reversed(parts) if not part.isdecimal())
    if name == "_scope_":
        return "" if value in _SCOPES else f"expected one of {', '.join(_SCOPES)}"
    if name in _TYPES:
        if not _is_a_type(value, scope):
            return "expected the name of a registered type"
        found = next(filter(None, map(fetcher_of, _kinds(value, scope))), None)
        return f"which fetches by itself ({found}); expected a type that does not" if found else ""
    if name.endswith("classes") and last.isdecimal():  # one in a list of names
        return ""
    if is_absolute(value) or ".." in value.split("/"):
        return "a place on another machine; expected a path below the data's folder"
    if not _PLAIN.fullmatch(value):
        return "expected letters, digits and . , + * / - and blanks"
    names_code = _DOTTED.fullmatch(value) and find_spec(value.partition(".")[0]) is not None
    if names_code and not _OF_FILES.fullmatch(name) and not _is_a_type(value, scope):
        return "a name in Python's modules; expected a registered type"
    return ""


def _is_a_type(name: str, scope: str) -> bool:
    """Whether building it can only give what the toolkits registered.

    Short names that are not registered, as mmcv's "nms", are found by the toolkits among their
    own; one of a module would be imported.
    """
    bare = name.rpartition(".")[2]
    if not re.fullmatch(r"[^\W\d]\w*", bare):
        return False
    return bool(_kinds(name, scope)) or ("." not in name and find_spec(bare) is None)


def _kinds(name: str, scope: str) -> list[Any]:
    """The registered classes and functions that it may stand for."""
    of, _, bare = name.rpartition(".")
    scopes = [s for s in _SCOPES if s == of] if of else ["mmengine", scope]
    return [kind for s in scopes for kind in _registered(s, bare)]


def _registered(scope: str, name: str) -> list[Any]:
    if scope in TOOLKITS:
        register_toolkit(scope)
    roots = [found for found in vars(registry).values() if isinstance(found, Registry)]
    if scope != "mmengine":
        roots = [root.children[scope] for root in roots if scope in root.children]
    return [found.module_dict[name] for found in roots if name in found.module_dict]
