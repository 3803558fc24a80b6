"""What a report says of a run: its log, its evaluation, its cost and how it was started."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from fdam_mm.analysis.flops import Complexity
from fdam_mm.analysis.flops_of_config import count_config, default_shape
from fdam_mm.errors import UsageError
from fdam_mm.toolkits.scope import scope_of
from fdam_mm.training.config import read_config
from fdam_mm.training.run_record import read_records
from fdam_mm.training.work_dir import find_checkpoint, find_config

from .evaluating import Evaluation, evaluate
from .log import Log, read_log

_STRIDE = 32  # that pictures are padded to


@dataclass(frozen=True, eq=False)
class ReportedRun:
    """A work folder and what its checkpoint does.

    Attributes:
        name: Of the folder.
        config: That of the training.
        checkpoint: The one evaluated.
        log: Curves.
        evaluation: On ``split``.
        split: ``test`` or ``val``.
        cost: Of each part of the model; None where it cannot be counted.
        shape: Height and width of the input that was counted.
        records: How its trainings were started, see :mod:`fdam_mm.training.run_record`.
    """

    name: str
    config: Config
    checkpoint: Path
    log: Log
    evaluation: Evaluation
    split: str
    cost: Mapping[str, Complexity] | None
    shape: tuple[int, int] | None
    records: list[dict[str, Any]]

    @property
    def test_command(self) -> str:
        """The command that says the same metrics."""
        words = ["fdam", "test", str(self.config.filename), str(self.checkpoint)]
        return shlex.join(words)


def read_run(
    work_dir: str | Path,
    checkpoint: str | Path | None = None,
    split: str = "test",
    options: Mapping[str, Any] | None = None,
) -> ReportedRun:
    """Read a work folder and evaluate its best checkpoint, else its newest.

    Args:
        work_dir: Of a training.
        checkpoint: Another one.
        split: ``test``, or ``val`` for the data of the validation.
        options: Settings that override the config's.

    Raises:
        MissingFileError: The folder has no config or no checkpoint.
        UsageError, ConfigError, CheckpointError: They cannot be used.
    """
    folder = Path(work_dir)
    config = read_config(str(find_config(folder)), dict(options or {}))
    checkpoint = Path(checkpoint or find_checkpoint(folder))
    evaluation = evaluate(config, checkpoint, split)
    cost, shape = _cost(config, evaluation)
    return ReportedRun(
        folder.resolve().name, config, checkpoint, read_log(folder), evaluation, split, cost,
        shape, read_records(folder),
    )  # fmt: skip


def _cost(
    config: Config, evaluation: Evaluation
) -> tuple[Mapping[str, Complexity] | None, tuple[int, int] | None]:
    """Not counted are models that take no picture alone."""
    try:
        shape = default_shape(config)
    except UsageError:  # then the size of the first picture that was tested
        height, width = evaluation.dataset[0]["inputs"].shape[-2:]
        shape = (-height % _STRIDE + height, -width % _STRIDE + width)
    try:
        return count_config(config.model, scope_of(config), shape), shape
    except UsageError:
        return None, None
