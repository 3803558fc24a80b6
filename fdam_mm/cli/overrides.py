"""Reading the KEY=VALUE of ``--cfg-options``. Values are data: nothing of them is run.

====================================  =============================================
``1``, ``-2``, ``1e-3``, ``inf``      a number (``1_000`` and ``0x10`` are text)
``True``, ``false``, ``None``         as in Python; True and False in any case
``a,b``  ``[a, b]``                   a list, however deep: ``[(a, b), [1, c]]``
``(a, b)``  ``(1)``                   a tuple, also of one
``dict(a=1)``  ``{"a": 1}``           a dict
``"a, b"``  with its quotes           that text, as in Python
anything else                         text, as it is
====================================  =============================================

Words need no quotes: ``[bbox, segm]``. Keys that hold a path (:data:`PATHS`) take their text as
it is, commas and digits too, unless it is in quotes or brackets or ``None``.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Any

PATHS = (
    *("data_root", "work_dir", "load_from", "checkpoint", "output_dir", "save_dir"),
    *("ann_file", "img", "img_path", "seg", "seg_map_path"),
)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|nan)", re.ASCII | re.IGNORECASE)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_QUOTES = ("'", '"')
_OPENERS = ",=:([{"  # before an item
_WORDS = {"true": True, "false": False}


def parse_override(text: str) -> tuple[str, Any]:
    """Split KEY=VALUE and read the value, see the module.

    Raises:
        ValueError: There is no key, or brackets do not match.
    """
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")) or key != "".join(key.split()):
        raise ValueError(f"expected KEY=VALUE, found {text!r}")
    is_path = key.rpartition(".")[2] in PATHS
    return key, _parse_path(value) if is_path else parse_value(value)


def parse_value(text: str) -> Any:
    """Read one value.

    Raises:
        ValueError: Brackets do not match, or a dict has a part that is no pair.
    """
    bare = text.strip()
    if _is_bracketed(bare):
        return _parse_bracketed(bare)
    if _cuts(bare, ","):
        return [parse_value(part) for part in _items(bare)]
    return _parse_word(text)


def _parse_path(text: str) -> Any:
    bare = text.strip()
    if _is_bracketed(bare):
        return _parse_bracketed(bare)
    if bare == "None":
        return None
    quoted = _unquoted(bare)
    return text if quoted is None else quoted


def _parse_bracketed(text: str) -> Any:
    if text[0] == "{":
        return _parse_dict(text[1:-1], ":")
    if text[0] == "d":
        return _parse_dict(text[text.index("(") + 1 : -1], "=")
    values = [parse_value(part) for part in _items(text[1:-1])]
    return tuple(values) if text[0] == "(" else values


def _parse_word(text: str) -> Any:
    """A value without commas and brackets around it."""
    bare = text.strip()
    if bare == "None":
        return None
    if bare.lower() in _WORDS:
        return _WORDS[bare.lower()]
    if _NUMBER.fullmatch(bare):
        return int(bare) if _INTEGER.fullmatch(bare) else float(bare)
    quoted = _unquoted(bare)
    return text if quoted is None else quoted


def _parse_dict(text: str, sign: str) -> dict[Any, Any]:
    pairs = {}
    for part in _items(text):
        cuts = _cuts(part, sign)
        if not cuts:
            raise ValueError(f"{part!r} in a dict, expected KEY{sign}VALUE")
        key, value = part[: cuts[0]], part[cuts[0] + 1 :]
        pairs[_parse_word(key.strip())] = parse_value(value.strip())
    return pairs


def _unquoted(text: str) -> str | None:
    """The text of a Python string literal; None where it is none."""
    if text[:1] not in _QUOTES or _end_of_quote(text, 0) != len(text) - 1:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a backslash that escapes nothing
        try:
            return ast.literal_eval(text)
        except (SyntaxError, ValueError):  # a line break, or an escape that is none
            return text[1:-1]


def _items(text: str) -> list[str]:
    """What commas outside quotes and brackets separate; nothing after the last one is no item."""
    starts = [0, *(cut + 1 for cut in _cuts(text, ","))]
    ends = [*(start - 1 for start in starts[1:]), len(text)]
    items = [text[start:end].strip() for start, end in zip(starts, ends, strict=True)]
    return items if items[-1] else items[:-1]


def _cuts(text: str, sign: str) -> list[int]:
    """Where ``sign`` stands outside quotes and brackets."""
    marks = list(_outside_quotes(text))
    cuts, closing = [], []
    for position, char in marks:
        if char in _CLOSING:
            closing.append(_CLOSING[char])
        elif char in _CLOSING.values():
            if not closing or closing.pop() != char:
                closing.append(char)
                break
        elif char == sign and not closing:
            cuts.append(position)
    if closing and (text[:1] in _CLOSING or any(char == sign for _, char in marks)):
        raise ValueError(f"the brackets of {text!r} do not match; quote it if it is text")
    return cuts


def _is_bracketed(text: str) -> bool:
    """Whether the bracket that opens ``text``, or follows a ``dict``, closes at its very end."""
    text = re.sub(r"^dict\s*(?=\()", "", text)
    if text[:1] not in _CLOSING:
        return False
    depth = 0
    for position, char in _outside_quotes(text):
        depth += (char in _CLOSING) - (char in _CLOSING.values())
        if depth == 0:
            return position == len(text) - 1 and char == _CLOSING[text[0]]
    return False


def _outside_quotes(text: str) -> Iterator[tuple[int, str]]:
    """Characters with their positions. A quote opens at the start of an item: ``it's`` is text."""
    position, opens = 0, True
    while position < len(text):
        char = text[position]
        end = _end_of_quote(text, position) if opens and char in _QUOTES else None
        if end is not None:
            position = end
        else:
            yield position, char
        opens = char in _OPENERS or (opens and char.isspace())
        position += 1


def _end_of_quote(text: str, start: int) -> int | None:
    """Where the quote that opens at ``start`` closes."""
    position = start + 1
    while position < len(text) and text[position] != text[start]:
        position += 2 if text[position] == "\\" else 1
    return position if position < len(text) else None
