"""Which attentions and blocks a user wants: patterns of their names."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from fdam_mm.errors import UsageError

Patterns = str | Sequence[str] | None


class Selection:
    """The patterns ``include`` and ``exclude`` of :func:`apply_fdam`.

    A pattern that matches the name of a block stands for the attention in it too.

    Args:
        include: Names to take, as the shell writes patterns (``"blocks.[0-5].*"``); None is all.
        exclude: Names to leave out of these.

    Raises:
        TypeError: One of them is neither a string nor several.
    """

    def __init__(self, include: Patterns, exclude: Patterns) -> None:
        self.include = None if include is None else as_patterns("include", include)
        self.exclude = () if exclude is None else as_patterns("exclude", exclude)

    def left_out(self, candidates: Mapping[str, Sequence[str]]) -> set[str]:
        """Those of ``candidates`` that are not wanted.

        Args:
            candidates: Names of attentions and blocks, each with those of the blocks around it.

        Raises:
            UsageError: A pattern matches none of them, or nothing is wanted.
        """
        for argument, patterns in (("include", self.include or ()), ("exclude", self.exclude)):
            for pattern in patterns:
                if not any(fnmatchcase(name, pattern) for name in candidates):
                    raise UsageError(_unmatched(argument, pattern, candidates))
        wanted = {
            name
            for name, around in candidates.items()
            if (self.include is None or _matches((name, *around), self.include))
            and not _matches((name, *around), self.exclude)
        }
        if candidates and not wanted:
            raise UsageError("include and exclude leave no attention and no block")
        return set(candidates) - wanted


def as_patterns(argument: str, value: Any) -> tuple[str, ...]:
    """One pattern or several, as several.

    Raises:
        TypeError: ``value`` is neither.
    """
    patterns = (value,) if isinstance(value, str) else value
    if not isinstance(patterns, Sequence) or not all(isinstance(p, str) for p in patterns):
        raise TypeError(f"{argument} must be a pattern of names or a list of them, got {value!r}")
    return tuple(patterns)


def _matches(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _unmatched(argument: str, pattern: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.5) or list(names)[:3]
    what = f"near it: {', '.join(near)}" if near else "the model has none that is known"
    return f"{argument}: {pattern!r} matches the name of no attention and no block; {what}"
