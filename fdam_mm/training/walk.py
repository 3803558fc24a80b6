"""Going through the settings of a config."""

from collections.abc import Iterator
from typing import Any


def walk(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every setting at and below ``key``, as its whole key and its value."""
    yield key, value
    if isinstance(value, dict):
        for name in value:
            yield from walk(value[name], f"{key}.{name}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from walk(item, f"{key}.{index}")
