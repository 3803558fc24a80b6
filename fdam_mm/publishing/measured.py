"""What a training's own log says of a checkpoint."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdam_mm.report.log import read_log
from fdam_mm.training.run_record import NAME

from .description import Metrics
from .portable import without_paths

_VERSIONS = ("python", "torch", "numpy", "timm")


def read_metrics(work_dir: Path, meta: Mapping[str, Any]) -> Metrics | None:
    """The validation at a checkpoint's iteration, else at its epoch; the newest training's first.

    Args:
        work_dir: Of the trainings.
        meta: That of the checkpoint, with ``iter`` and ``epoch``.
    """
    steps = [meta[key] for key in ("iter", "epoch") if isinstance(meta.get(key), int)]
    for folder in _trainings(work_dir):
        metrics = read_log(work_dir, folder.name).metrics
        for step in steps:
            values = {name: at[step] for name, at in metrics.items() if step in at}
            if values:
                command = _record(folder).get("command")
                command = without_paths(command) if isinstance(command, str) else None
                return Metrics("val", step, values, command)
    return None


def read_versions(work_dir: Path) -> dict[str, str]:
    """The versions of the packages that the newest training had, and its processor or GPU."""
    machines = [_record(folder).get("machine") for folder in _trainings(work_dir)]
    found = next((m for m in machines if isinstance(m, dict)), {})
    wanted = ("device", *_VERSIONS)
    return {
        key: str(value)
        for key, value in found.items()
        if key in wanted or key.startswith(("fdam_mm", "onedl-"))
    }


def _trainings(work_dir: Path) -> list[Path]:
    """Folders of their logs, newest first: they are named by time."""
    return sorted((file.parent.parent for file in work_dir.glob("*/vis_data/*")), reverse=True)


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / NAME).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
