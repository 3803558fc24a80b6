"""Which models the page has: those that the command line names, else those of ``make demo``."""

from collections.abc import Sequence
from pathlib import Path

from fdam_mm.apis.sources import has_weights, name_of
from fdam_mm.errors import ExportError, FDAMError, MissingFileError, UsageError
from fdam_mm.runtime.description import Description

from .models import Exported, Served, Trained

_WEIGHTS = (".pth", ".pt", ".bin", ".safetensors")


def open_models(
    words: Sequence[str], device: str | None = None, demos: Path = Path("work_dirs/demo")
) -> dict[str, Served]:
    """Load the models of the page, by their names.

    Args:
        words: Work folders, published folders and ``hf://`` addresses; configs, each with its
            checkpoint behind it; exported models, their folder or JSON.
        device: Where those of torch run; None takes the GPU if there is one.
        demos: Where ``make demo`` leaves its trainings, which are taken where ``words`` is empty.

    Raises:
        UsageError: A config has no checkpoint behind it, or a checkpoint no config before it.
        MissingFileError: Nothing was named, and there is no training of ``make demo``.
        FDAMError: A model cannot be loaded.
    """
    if not words:
        words = [str(folder) for folder in demo_trainings(demos)]
    found: dict[str, Served] = {}
    for source, checkpoint in paired(words):
        for file in exported_models(Path(source)):
            name = _unused(file.stem, found)
            found[name] = Exported(name, file)
        if not exported_models(Path(source)):
            name = _unused(_name(source), found)
            found[name] = Trained(name, source, checkpoint, device)
    return found


def paired(words: Sequence[str]) -> list[tuple[str, str | None]]:
    """Sources with their checkpoints: a config's stands behind it, others have their own.

    Raises:
        UsageError: A config has no checkpoint behind it, or a checkpoint no config before it.
    """
    pairs: list[tuple[str, str | None]] = []
    remaining = list(words)
    while remaining:
        source = remaining.pop(0)
        if source.endswith(_WEIGHTS):
            raise UsageError(f"{source} is a checkpoint; expected its config before it")
        if has_weights(source) or source.endswith((".json", ".onnx")):
            pairs.append((source, None))
        elif not Path(source).suffix and not Path(source).exists():
            raise MissingFileError(f"model {source} does not exist")
        elif not remaining or not remaining[0].endswith(_WEIGHTS):
            raise UsageError(f"{source} is a config; expected its checkpoint behind it")
        else:
            pairs.append((source, remaining.pop(0)))
    return pairs


def exported_models(source: Path) -> list[Path]:
    """The JSON files of exported models that a path means; none where it is something else."""
    if source.suffix in (".json", ".onnx"):
        return [source.with_suffix(".json")]
    if not source.is_dir() or any(source.glob("*.py")):
        return []
    return [file for file in sorted(source.glob("*.json")) if _is_description(file)]


def _is_description(file: Path) -> bool:
    try:
        return bool(Description.read(file).graphs)
    except ExportError:
        return False


def demo_trainings(folder: Path) -> list[Path]:
    """The work folder of the newest whole training of each config that ``make demo`` ran.

    Raises:
        MissingFileError: There is none.
    """
    from fdam_mm.training.work_dir import find_checkpoint

    newest: dict[str, Path] = {}
    for work_dir in sorted(folder.glob("*/train")):
        try:
            find_checkpoint(work_dir)
            newest[_name(str(work_dir))] = work_dir
        except FDAMError:
            continue  # interrupted before its first checkpoint
    if not newest:
        raise MissingFileError(
            f"{folder} holds no training; make demo leaves one there in some minutes "
            "(make demo-maskdino, make demo-dota), or name a model: fdam demo work_dirs/NAME"
        )
    return list(newest.values())


def _name(source: str) -> str:
    """Of a training of ``make demo`` its config's: all their folders have one name."""
    from fdam_mm.training.work_dir import find_config

    folder = Path(source)
    if folder.is_dir() and folder.name == "train":
        return find_config(folder).stem
    return name_of(source)


def _unused(name: str, used: dict[str, Served]) -> str:
    number, unique = 1, name
    while unique in used:
        number += 1
        unique = f"{name} ({number})"
    return unique


def twin_of(name: str, names: Sequence[str]) -> str | None:
    """The model to show beside one: its plain or FDAM twin, or the only other one."""
    other = name.removeprefix("fdam-") if name.startswith("fdam-") else f"fdam-{name}"
    if other in names:
        return other
    others = [each for each in names if each != name]
    return others[0] if len(others) == 1 else None
