"""What a value of a JSON is: an id, a number, a box."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from .problems import show

_LARGEST = 1e15  # what a float holds to the pixel, and far more than any picture has


def is_number(value: Any) -> bool:
    """Whether it is a finite number, and none too long to calculate with."""
    if not isinstance(value, int | float):
        return False
    return abs(value) <= _LARGEST if isinstance(value, int) else math.isfinite(value)


def are_numbers(values: Any) -> bool:
    """Whether it is a list of finite numbers."""
    return isinstance(values, list) and all(map(is_number, values))


def id_fault(entry: Mapping[str, Any], key: str) -> Iterator[tuple[str, str]]:
    """At most one fault: an id must be what entries can be found by."""
    value = entry.get(key)
    if value is None:
        yield f"no {key}", "one"
    elif not isinstance(value, str) and not is_number(value):
        yield f"{key} {show(value)}", "a number or a text"
