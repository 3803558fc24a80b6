"""``train``: a training from Python, and what it left."""

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from fdam_mm.checkpoints.loading import allowing_pickle
from fdam_mm.files import require_folder
from fdam_mm.report.log import records
from fdam_mm.toolkits.patches.default_scope import RunScopes
from fdam_mm.training.building import build_runner
from fdam_mm.training.config import (
    read_config,
    refuse_overwriting,
    require_data,
)
from fdam_mm.training.work_dir import newest_step


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        work_dir: Its folder; :func:`load_model` takes it.
        metrics: What was logged, in order, before it was resumed too: dicts with ``step``
            (iteration or epoch) and, by name, the losses and the learning rate, or the results of
            a validation.
        best_checkpoint: By the metric that the config's ``save_best`` names; None without one.
        last_checkpoint: The newest; None where nothing was saved.
    """

    work_dir: Path
    metrics: tuple[dict[str, Any], ...]
    best_checkpoint: Path | None
    last_checkpoint: Path | None


def train(
    config: str | Path | Config,
    work_dir: str | Path | None = None,
    resume: bool = False,
    **overrides: Any,
) -> Run:
    """Train a config in this process.

    Several GPUs need a process each: ``tools/dist_train.sh`` or ``fdam train`` under ``torchrun``.

    Args:
        config: A file, or a loaded config, which is not changed.
        work_dir: For logs and checkpoints; None takes the config's, else ``work_dirs/NAME``.
        resume: Go on with the training in ``work_dir``, if there is one.
        **overrides: Settings by their dotted names: ``**{"train_cfg.max_iters": 1000}``.

    Returns:
        What the training left.

    Raises:
        MissingFileError: The config does not exist.
        ConfigError, UsageError: It cannot be used, its data are not there, or ``work_dir`` holds
            another training.
    """
    config = _read(config, overrides)
    config.work_dir = str(work_dir or config.get("work_dir") or _default_folder(config))
    config.resume, config.launcher = "auto" if resume else False, "none"
    require_folder(config.work_dir, "work_dir")
    refuse_overwriting(config)
    require_data(config, "train", "val")
    _name_apart(config)
    scopes = RunScopes()
    try:
        with allowing_pickle(config.get("allow_pickle", False)):
            with scopes.set_here():
                runner = build_runner(config)
            runner.train()
    finally:
        scopes.take_back()
    folder = Path(config.work_dir)
    best = runner.message_hub.get_info("best_ckpt", None)
    return Run(
        work_dir=folder,
        metrics=_logged(folder, "*" if resume else Path(runner.log_dir).name),
        best_checkpoint=folder / Path(best).name if best else None,
        last_checkpoint=newest_step(folder),
    )


def _read(config: str | Path | Config, overrides: dict[str, Any]) -> Config:
    if isinstance(config, Config):
        config = config.copy()
        config.merge_from_dict(overrides)
        return config
    return read_config(str(config), overrides)


def _name_apart(config: Config) -> None:
    """mmengine gives runs of one name, which it takes by the second, one logger."""
    config.experiment_name = f"{_default_folder(config).name}_{uuid.uuid4().hex}"


def _default_folder(config: Config) -> Path:
    return Path("work_dirs") / Path(config.filename or "run").stem


def _logged(work_dir: Path, run: str = "*") -> tuple[dict[str, Any], ...]:
    """The lines of mmengine's logs of scalars; what a resumed training did again counts once."""
    found: list[dict[str, Any]] = []
    for file in sorted(work_dir.glob(f"{run}/vis_data/scalars.json")):
        lines = [line for line in records(file) if "step" in line]
        again = (i for i, line in enumerate(found) if lines and line["step"] >= lines[0]["step"])
        found = found[: next(again, len(found))] + lines
    return tuple(found)
