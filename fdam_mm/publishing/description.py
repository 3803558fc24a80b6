"""``config.json`` of a published model: what it is, and the config that builds it."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from fdam_mm.errors import CheckpointError, ConfigError, MissingFileError

from .as_json import from_json, to_json
from .harmless import require_harmless
from .portable import FOR_TESTS, without_places

NAME = "config.json"
CARD = "README.md"
_FORMAT = "fdam_mm 1"
_WEIGHTS = re.compile(r"[\w.-]+-[0-9a-f]{8}\.safetensors")


@dataclass(frozen=True)
class Metrics:
    """What a training measured of the published weights.

    Attributes:
        split: Of the data: ``val``.
        step: Iteration or epoch of the weights.
        values: By name, as the toolkit's metric gives them.
        command: That of the training; None where its record is not there.
    """

    split: str
    step: int
    values: dict[str, float]
    command: str | None


@dataclass(frozen=True)
class Published:
    """A published model.

    Attributes:
        name: Of the model.
        weights: File beside the description, ``NAME-HASH.safetensors``; HASH is the begin of its
            SHA-256.
        sha256: All of it.
        averaged: Whether the weights are the average (EMA) that the training kept.
        classes: Their names.
        palette: Their colours, RGB.
        metrics: Of the training's validation; None where it had none.
        data: What it was trained on, in words; None where nobody said it.
        license: Identifier of the weights' licence; None where nobody said it.
        versions: Of the packages that trained it.
        config: The training's, without paths of its machine.
    """

    name: str
    weights: str
    sha256: str
    averaged: bool
    classes: list[str]
    palette: list[list[int]]
    metrics: Metrics | None
    data: str | None
    license: str | None
    versions: dict[str, str]
    config: dict[str, Any]

    def to_text(self) -> str:
        """As JSON.

        Raises:
            ConfigError: The config has more than text, numbers, lists and dicts.
        """
        fields = asdict(self) | {"config": to_json(self.config)}
        return json.dumps({"format": _FORMAT, **fields}, indent=1) + "\n"


def is_published(folder: str | Path) -> bool:
    """Whether a folder has the description of a published model, and is no work folder.

    A test of such a model leaves its config, ``config.json`` too, in a folder of its name.
    """
    return (Path(folder) / NAME).is_file() and not any(Path(folder).glob("*.py"))


def read_description(file: Path) -> Published:
    """Read a description; nothing in it is run or trusted.

    Raises:
        MissingFileError: There is none.
        ConfigError: It is none of ours, or damaged.
    """
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{file} does not exist; expected the folder that `fdam publish` wrote"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file} cannot be read as JSON: {error}") from error
    found = read.get("format") if isinstance(read, dict) else None
    if found != _FORMAT:
        raise ConfigError(
            f"{file} has the format {found!r}, expected {_FORMAT!r}: no model that `fdam publish` "
            "of this version wrote"
        )
    try:
        return _checked(read)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is damaged: {type(error).__name__} {error}") from error


def _checked(read: dict[str, Any]) -> Published:
    weights = str(read["weights"])
    if not _WEIGHTS.fullmatch(weights):
        raise ValueError(f"weights is {weights!r}, expected NAME-HASH.safetensors")
    metrics = read["metrics"]
    return Published(
        name=str(read["name"]), weights=weights, sha256=str(read["sha256"]),
        averaged=bool(read["averaged"]), classes=[str(name) for name in read["classes"]],
        palette=[[int(c) for c in colour] for colour in read["palette"]],
        metrics=Metrics(**metrics) if metrics else None, data=read["data"],
        license=read["license"], versions=dict(read["versions"]),
        config=dict(from_json(read["config"])),
    )  # fmt: skip


def open_published(folder: str | Path) -> tuple[Published, Config, Path]:
    """A published model's description, the part of its config that a test needs, and its weights.

    Raises:
        MissingFileError: A file is missing.
        ConfigError: The description is damaged, or its config could do more than build a model.
        CheckpointError: The weights are not those of the description.
    """
    file = Path(folder) / NAME
    published = read_description(file)
    kept = {k: v for k, v in published.config.items() if k in FOR_TESTS}
    kept = without_places(kept)
    require_harmless(kept, str(file))
    config = Config(kept, cfg_text=file.read_text(encoding="utf-8"), filename=str(file))
    weights = Path(folder) / published.weights
    require_content(weights, published.sha256)
    return published, config, weights


def require_content(file: Path, sha256: str) -> None:
    """See that a file has the hash that it should have, and that its name ends in.

    Raises:
        MissingFileError: It is not there.
        CheckpointError: It has another.
    """
    if not file.is_file():
        raise MissingFileError(f"{file} does not exist; {NAME} beside it names it")
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(1 << 20):
            digest.update(chunk)
    found = digest.hexdigest()
    if found != sha256 or not file.stem.endswith(f"-{sha256[:8]}"):
        raise CheckpointError(
            f"{file} has the SHA-256 {found}, expected {sha256} and a name that ends in its "
            "first 8 digits: it is damaged or another file; fetch or publish it again"
        )
