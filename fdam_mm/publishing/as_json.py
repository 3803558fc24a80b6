"""Settings as JSON and back, tuples included: mmcv tells a tuple from a list."""

from typing import Any

from fdam_mm.errors import ConfigError
from fdam_mm.toolkits.registration import TOOLKITS

_TUPLE = "__tuple__"


def to_json(value: Any, key: str = "config") -> Any:
    """What :mod:`json` writes; classes become the names under which they are registered.

    Raises:
        ConfigError: There is something else in it; names the key.
    """
    if isinstance(value, type):
        return type_name(f"{value.__module__}.{value.__name__}")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return {_TUPLE: [to_json(item, f"{key}.{i}") for i, item in enumerate(value)]}
    if isinstance(value, list):
        return [to_json(item, f"{key}.{i}") for i, item in enumerate(value)]
    if not isinstance(value, dict):
        raise ConfigError(
            f"{key} is a {type(value).__name__}, which cannot be published; expected text, "
            "numbers, lists and dicts"
        )
    if odd := [name for name in value if not isinstance(name, str) or name == _TUPLE]:
        raise ConfigError(f"{key} has the key {odd[0]!r}, which cannot be published")
    return {name: to_json(item, f"{key}.{name}") for name, item in value.items()}


def from_json(value: Any) -> Any:
    """What :func:`to_json` got."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {_TUPLE} and isinstance(value[_TUPLE], list):
        return tuple(from_json(item) for item in value[_TUPLE])
    return {name: from_json(item) for name, item in value.items()}


def type_name(kind: str) -> str:
    """``mmseg.ResNet`` of ``mmseg.models.backbones.resnet.ResNet``, as pure Python configs dump
    it; other names stay."""
    package, _, rest = kind.partition(".")
    if "." not in rest:
        return kind
    name = rest.rpartition(".")[2]
    return f"{package}.{name}" if package in TOOLKITS else name
