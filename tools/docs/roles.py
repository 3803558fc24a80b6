"""Docstrings for mkdocstrings: Sphinx's roles become code, double backticks single ones."""

import re
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r":(?:class|data|func|meth|mod|attr):`(~?)([\w.]+)(?:\(\))?`")


class Roles(Extension):
    """Sees every object once, when its docstring has been found."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """``:func:`a.b``` as code; what it names is in the API or in the code."""
    shown = ROLE.sub(lambda role: f"`{role[2].split('.')[-1] if role[1] else role[2]}`", text)
    return re.sub(r"::$", ":", shown.replace("``", "`"), flags=re.M)
