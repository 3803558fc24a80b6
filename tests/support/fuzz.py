"""Odd data for fuzzing: values of wrong types and sizes, and changes anywhere in a JSON."""

import copy
import json
import os
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FDAM_FUZZ_EXAMPLES", "12"))
"""Of each test; 2000 by hand: FDAM_FUZZ_EXAMPLES=2000 pytest tests/data/check/test_fuzz.py"""

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 1000,
    database=None,
    suppress_health_check=list(HealthCheck),
)

_NUMBERS = [0, -1, 0.5, 1e9, 1e308, -1e-308, 10**30, 10**400, float("nan"), float("inf"), 2**63]
_TEXTS = ["", "x", "1", "a" * 5000, "../../a", "a\x00b", "a\nb", "\ud800", "/", ".", "é.jpg"]
_DEEP: Any = []
for _ in range(400):
    _DEEP = [_DEEP]

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(_NUMBERS)
    | st.sampled_from(_TEXTS)
    | st.just(_DEEP)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@st.composite
def changed(draw: st.DrawFn, data: dict) -> str:
    """The text of a JSON with up to three changes, or damaged as a text."""
    data = copy.deepcopy(data)
    for _ in range(draw(st.integers(0, 3))):
        parent, key = draw(st.sampled_from(list(_places(data))))
        match draw(st.sampled_from(["replace", "replace", "remove", "repeat"])):
            case "replace":
                parent[key] = copy.deepcopy(draw(values))
            case "remove":
                del parent[key]
            case "repeat" if isinstance(parent, list):
                parent.insert(key, copy.deepcopy(parent[key]))
            case "repeat":
                parent[draw(st.text(max_size=4))] = copy.deepcopy(parent[key])
    text = json.dumps(data)
    if draw(st.integers(0, 9)) == 0:
        place = draw(st.integers(0, len(text)))
        odd = draw(
            st.sampled_from(["", "{", "[" * 20_000, '"id": 1, "id": 2,', "\ufeff", "1" * 5000])
        )
        text = text[:place] + odd + text[place + draw(st.integers(0, 3)) :]
    return text


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every entry of every list and dict, with what it is in."""
    keys = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
    for key in list(keys):
        yield data, key
        yield from _places(data[key])
