"""``list_models``: the shipped configs, and what is reported of them."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).resolve().parents[1] / ".mim"
"""Has ``configs`` and ``model-index.yml``, in a checkout and in a wheel."""


@dataclass(frozen=True)
class Reported:
    """Figures of a model that others report.

    Attributes:
        data: Data set.
        metrics: Values by name, in percent.
        source: Where they stand.
    """

    data: str
    metrics: dict[str, float]
    source: str


@dataclass(frozen=True)
class ZooModel:
    """A shipped config.

    Attributes:
        name: Its file's, without ``.py``.
        config: The file; :func:`fdam_mm.apis.train` and :func:`fdam_mm.apis.load_model` take it.
        family: Of its backbone, or of its model.
        data: That it trains on.
        fdam: Whether it has FDAM, or is the plain twin.
        reported: By the paper's authors; nothing of it was measured by us.
    """

    name: str
    config: Path
    family: str
    data: str
    fdam: bool
    reported: tuple[Reported, ...]


def list_models(pattern: str = "*") -> list[ZooModel]:
    """The shipped models whose name, family or data match, plain before FDAM.

    Args:
        pattern: With ``*`` and ``?``; a plain word is looked for anywhere. Case does not count.
    """
    wanted = pattern.lower() if {*"*?["} & {*pattern} else f"*{pattern.lower()}*"
    found = []
    for file in _read(SHIPPED / "model-index.yml")["Import"]:
        found += [_model(entry) for entry in _read(SHIPPED / file)["Models"]]
    return [
        model
        for model in found
        if any(fnmatchcase(w.lower(), wanted) for w in (model.name, model.family, model.data))
    ]


def _read(file: Path) -> dict[str, Any]:
    import yaml  # comes with mmengine

    return yaml.safe_load(file.read_text(encoding="utf-8"))


def _model(entry: dict[str, Any]) -> ZooModel:
    reported = tuple(
        Reported(found["Dataset"], found["Metrics"], found["Reported By"])
        for found in entry.get("Results", ())
    )
    about = entry["Metadata"]
    return ZooModel(
        entry["Name"], SHIPPED / entry["Config"], entry["In Collection"], about["Training Data"],
        about["FDAM"], reported,
    )  # fmt: skip
