"""What :func:`fdam_mm.apply_fdam` did."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Insertion:
    """One layer that moved in."""

    module: str  # name of the attention or block that holds it
    layer: str  # "AttInv" or "FreqScale"
    detail: str
    parameters: int


@dataclass(frozen=True)
class Report:
    """Which modules got what.

    ``skipped`` holds modules that take no AttInv by their nature, ``problems`` what could not be
    served (only with ``strict=False``); both map a module's name to the reason.
    """

    inserted: tuple[Insertion, ...]
    skipped: dict[str, str]
    problems: dict[str, str]

    @property
    def parameters(self) -> int:
        """Parameters added."""
        return sum(insertion.parameters for insertion in self.inserted)

    def count(self, layer: str) -> int:
        """Number of ``"AttInv"`` or ``"FreqScale"`` layers."""
        return sum(insertion.layer == layer for insertion in self.inserted)

    def __str__(self) -> str:
        lines = [
            f"{self.count('AttInv')} AttInv and {self.count('FreqScale')} FreqScale, "
            f"{self.parameters:,} parameters added"
        ]
        lines += [
            f"  {i.module}: {i.layer}, {i.detail}, {i.parameters:,} parameters"
            for i in self.inserted
        ]
        lines += [f"  no AttInv: {line}" for line in by_reason(self.skipped)]
        lines += [f"  not served: {line}" for line in by_reason(self.problems)]
        return "\n".join(lines)


def by_reason(reasons: Mapping[str, str]) -> list[str]:
    """One line for each reason, with the modules it holds for."""
    modules: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        modules.setdefault(reason, []).append(name)
    return [f"{some(names)}: {reason}" for reason, names in modules.items()]


def some(names: list[str], shown: int = 3) -> str:
    """The first names, and how many more."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
