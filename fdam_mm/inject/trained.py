"""What of a model is trained beside FDAM: parts by the patterns of their names."""

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from fdam_mm.errors import UsageError

from .selection import Patterns, as_patterns


def matching_parts(model: nn.Module, also: Patterns) -> list[str]:
    """Names of the modules and parameters that the patterns match; a module stands for all in it.

    Args:
        also: As the shell writes them: ``"decode_head"``, ``["head.*", "*.pos_embed"]``.

    Raises:
        UsageError: A pattern matches nothing; names near ones.
        TypeError: ``also`` is neither a pattern nor several.
    """
    patterns = () if also is None else as_patterns("also", also)
    modules = [name for name, _ in model.named_modules(remove_duplicate=False) if name]
    parameters = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    names = dict.fromkeys([*modules, *parameters])
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = difflib.get_close_matches(pattern, names, n=3) or list(names)[:3]
            raise UsageError(
                f"also: {pattern!r} matches the name of no module and no parameter of "
                f"{type(model).__name__}; near it: {', '.join(near)}"
            )
    return [name for name in names if any(fnmatchcase(name, p) for p in patterns)]


def within(key: str, names: Sequence[str]) -> bool:
    """Whether a name of the state dict is one of these, or of something in them."""
    return any(not name or key == name or key.startswith(f"{name}.") for name in names)
