"""The history of logged scalars, kept as long as something reads it."""

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.registry import HOOKS
from mmengine.runner import Runner

_EVERY = 1000  # iterations, between two times that the living history is shortened
_OF_LOOPS = ("val/", "test/")  # made anew by every evaluation


@HOOKS.register_module()
class BoundedHistoryHook(Hook):
    """Keep of every logged scalar what the log's windows read, in memory and in checkpoints.

    mmengine keeps every value of every iteration, saves them all with every checkpoint, and
    copies them when a value is added. The smoothed values of the log need the last few alone; a
    log with a window over the whole training (``window_size="global"``) keeps all.
    """

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        if self.every_n_train_iters(runner, _EVERY):
            scalars = runner.message_hub.log_scalars
            scalars.update(shortened(scalars, longest_window(runner)))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        hub = checkpoint["message_hub"]
        for part in ("log_scalars", "resumed_keys"):
            hub[part] = {k: v for k, v in hub[part].items() if not k.startswith(_OF_LOOPS)}
        hub["log_scalars"] = shortened(hub["log_scalars"], longest_window(runner, saved=True))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Old checkpoints hold the whole history."""
        hub = checkpoint.get("message_hub")
        if isinstance(hub, dict) and isinstance(hub.get("log_scalars"), dict):
            hub["log_scalars"] = shortened(hub["log_scalars"], longest_window(runner, saved=True))


def longest_window(runner: Runner, saved: bool = False) -> int | None:
    """How many values of a scalar the log may read, None for all of them.

    Args:
        runner: Whose log is meant.
        saved: Whether an evaluation's epoch counts only if the log's settings ask for epochs;
            while one runs it always does, and no checkpoint is resumed inside of one.
    """
    log = runner.log_processor
    windows = [log.window_size, *(entry.get("window_size") for entry in log.custom_cfg)]
    if "global" in windows:
        return None
    sizes = [size for size in windows if isinstance(size, int)]
    if not saved or "epoch" in windows:
        loops = (runner._train_loop, runner._val_loop, runner._test_loop)
        sizes += [len(loop.dataloader) for loop in loops if hasattr(loop, "dataloader")]
    return max(sizes)


def shortened(scalars: Mapping[str, Any], length: int | None) -> dict[str, Any]:
    """The last ``length`` values of each history; what is no history stays as it is."""
    if length is None:
        return dict(scalars)
    return {
        key: HistoryBuffer(*(values[-length:] for values in scalar.data))
        if isinstance(scalar, HistoryBuffer)
        else scalar
        for key, scalar in scalars.items()
    }
