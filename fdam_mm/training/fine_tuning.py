"""Training FDAM alone on the weights of another training: the config's ``fine_tuning``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

from fdam_mm.checkpoints import load
from fdam_mm.checkpoints.delta import write_delta
from fdam_mm.checkpoints.finite import listing
from fdam_mm.errors import CheckpointMismatchError, ConfigError, MissingFileError, UsageError
from fdam_mm.inject import fdam_state_dict, freeze_except_fdam
from fdam_mm.inject.selection import Patterns

from .unwrapping import bare_model
from .work_dir import find_checkpoint

DELTA = "delta.safetensors"


def parts_to_train(settings: Any) -> Patterns:
    """The ``also`` of a config's ``fine_tuning=dict(also=...)``.

    Raises:
        ConfigError: It is something else.
    """
    if not isinstance(settings, Mapping) or not set(settings) <= {"also"}:
        raise ConfigError(
            f"fine_tuning is {settings!r}, expected dict(also=...) with the patterns of what is "
            'trained beside FDAM: fine_tuning=dict(also="decode_head"), or dict() for FDAM alone'
        )
    return settings.get("also")


@HOOKS.register_module()
class FineTuningHook(Hook):
    """Freezes all but FDAM and writes ``delta.safetensors``; ``fine_tuning`` in a config adds it.

    The delta is that of the best checkpoint, else of the newest, at the end of the training.

    Args:
        also: What is trained beside FDAM, see :func:`fdam_mm.freeze_except_fdam`.
    """

    priority = "LOWEST"  # after the checkpoints are saved

    def __init__(self, also: Patterns = None) -> None:
        self.also = also

    def freeze(self, runner: Runner, model: nn.Module) -> None:
        """Before the model is wrapped and its optimizer is built.

        Raises:
            ConfigError: The model has no FDAM, or a pattern matches nothing.
        """
        try:
            counts = freeze_except_fdam(model, self.also)
        except (UsageError, TypeError) as error:
            raise ConfigError(f"fine_tuning: {error}") from error
        runner.logger.info(f"fine_tuning: {counts.trained:,} parameters are trained, "
                           f"{counts.frozen:,} frozen")  # fmt: skip

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """What is frozen must come from the base: else it would stay random."""
        if runner._fit != "finetune":  # a test, or a resumed training: all must fit anyway
            return
        model = bare_model(runner.model)
        there = {*fdam_state_dict(model, self.also), *checkpoint["state_dict"]}
        lacking = [key for key in model.state_dict() if key not in there]
        if lacking:
            raise CheckpointMismatchError(
                f"fine_tuning freezes {len(lacking)} tensors that {runner._load_from} has not: "
                f"{listing(lacking)}. Name new parts in fine_tuning.also"
            )

    def before_train(self, runner: Runner) -> None:
        """Once more: SyncBN and BN may have taken each other's place since."""
        freeze_except_fdam(bare_model(runner.model), self.also)

    def after_train(self, runner: Runner) -> None:
        if not is_main_process():
            return
        folder = Path(runner.work_dir)
        try:
            file = find_checkpoint(folder)
        except MissingFileError:
            runner.logger.warning("no checkpoint was saved, hence no delta")
            return
        checkpoint = load(file, allow_pickle=runner.cfg.get("allow_pickle", False))
        trained = fdam_state_dict(bare_model(runner.model), self.also)
        meta = checkpoint.get("meta", {}).get("dataset_meta") or {}
        write_delta(folder / DELTA, checkpoint["state_dict"], trained, meta)
        runner.logger.info(f"{folder / DELTA} holds what was trained, as {file.name} has it")
