"""Arguments of our models whose type in a config is not the one in the class's signature.

Without it they end inside a constructor, in "'<' not supported between 'str' and 'int'", or only
in the first forward.
"""

import inspect
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from mmengine.registry import MODELS

from fdam_mm.errors import ConfigError
from fdam_mm.toolkits.types import class_of

from .walk import walk

_KINDS: dict[type, tuple[type, str]] = {
    int: (Integral, "whole number"),
    float: (Real, "number"),
    str: (str, "text"),
}


def refuse_wrong_types(model: Any, scope: str, key: str = "model") -> None:
    """See that what a config's model gives to classes of this package is of the right type.

    Args:
        model: The settings.
        scope: Toolkit of names without one.
        key: Where the config has them.

    Raises:
        ConfigError: One is not; names the key, the value and what was expected.
    """
    for place, settings in walk(model, key):
        if not isinstance(settings, dict) or "type" not in settings:
            continue
        kind = class_of(settings["type"], MODELS, scope)
        if not getattr(kind, "__module__", "").startswith("fdam_mm."):
            continue
        for name, parameter in inspect.signature(kind).parameters.items():
            hint = parameter.annotation
            if name == "init_cfg":  # mmengine's, which takes much
                continue
            if name in settings and not _fits(settings[name], hint):
                raise ConfigError(
                    f"{place}.{name} is {settings[name]!r}, expected {' or '.join(_words(hint))}"
                )


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type; lists serve as any sequence, what we do not know fits."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, each) for each in inner)
    if kind in (None, NoneType):
        return value is None
    if kind is bool:
        return isinstance(value, Integral)
    if kind in _KINDS:
        return isinstance(value, _KINDS[kind][0])
    if kind in (list, tuple, Sequence):
        is_sequence = isinstance(value, Sequence) and not isinstance(value, str)
        return is_sequence and all(_fits(each, inner[0]) for each in value if inner)
    return isinstance(value, Mapping) if kind in (dict, Mapping) else True


def _words(hint: Any) -> list[str]:
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return [word for each in inner for word in _words(each)]
    if kind in _KINDS:
        return [f"a {_KINDS[kind][1]}"]
    if kind in (list, tuple, Sequence):
        return [f"a list of {_KINDS[inner[0]][1]}s" if inner and inner[0] in _KINDS else "a list"]
    if kind in (dict, Mapping):
        return ["a dict"]
    return ["True or False" if kind is bool else "None"]
