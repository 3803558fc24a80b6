"""The learning rate of another total batch: the linear rule (arXiv 1706.02677)."""

from typing import Any

from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from fdam_mm.errors import ConfigError, UsageError

from .finite import optim_wrappers


def enable_auto_scale_lr(config: Config) -> None:
    """Turn a config's ``auto_scale_lr`` on, see :func:`scale_to_batch`.

    Raises:
        UsageError: The config does not say for which total batch its learning rate is.
    """
    settings = config.get("auto_scale_lr") or {}
    if "base_batch_size" not in settings:
        raise UsageError(
            "--auto-scale-lr: the config does not say for which total batch its learning rate is; "
            "set it: --cfg-options auto_scale_lr.base_batch_size=16"
        )
    config.auto_scale_lr = dict(settings, enable=True)


def scale_to_batch(runner: Runner) -> None:
    """Scale new learning rates, if ``auto_scale_lr`` is on, by the total batch over its base.

    The total batch is processes x batch size x ``accumulative_counts``; mmengine's own rule leaves
    out the last.

    Raises:
        ConfigError: ``base_batch_size`` is missing or no whole number from 1.
    """
    for wrapper, batch in zip(optim_wrappers(runner), scaled_batches(runner), strict=False):
        base = _base(runner)
        _scale(wrapper, batch / base)
        runner.logger.info(
            f"learning rates x {batch / base:g}: the total batch is {batch}, "
            f"auto_scale_lr.base_batch_size is {base}"
        )


def scaled_batches(runner: Runner) -> list[int]:
    """The total batch of each optimizer, which its learning rates are for; [] where it is off."""
    if not (runner.auto_scale_lr or {}).get("enable", False):
        return []
    samples = runner.world_size * batch_size(runner.train_dataloader)
    return [samples * wrapper._accumulative_counts for wrapper in optim_wrappers(runner)]


def follow_batch(runner: Runner, before: list[int]) -> None:
    """Scale the learning rates of a resumed training, if ``auto_scale_lr`` is on.

    Args:
        runner: Whose optimizers and schedulers are those of the checkpoint.
        before: The total batches that these are for, :func:`scaled_batches` of that training; []
            are those of ``base_batch_size``.
    """
    for index, batch in enumerate(scaled_batches(runner)):
        old = before[index] if index < len(before) else _base(runner)
        if old == batch:
            continue
        wrapper = optim_wrappers(runner)[index]
        _scale(wrapper, batch / old)
        for scheduler in _schedulers(runner):
            if (
                scheduler.optimizer in (wrapper, wrapper.optimizer)
                and scheduler.param_name == "lr"
            ):
                scheduler.base_values = [v * batch / old for v in scheduler.base_values]
                scheduler._last_value = [v * batch / old for v in scheduler._last_value]
        runner.logger.info(
            f"learning rates x {batch / old:g}: the total batch is {batch} and was {old}"
        )


def batch_size(dataloader: DataLoader) -> int:
    """Samples of a batch of one process; 1 where a batch sampler does not say."""
    return getattr(dataloader.batch_sampler, "batch_size", 1)


def _scale(wrapper: OptimWrapper, ratio: float) -> None:
    for group in wrapper.param_groups:  # with the one whose rate mmengine logs
        for key in ("lr", "initial_lr"):
            if key in group:
                group[key] = group[key] * ratio


def _base(runner: Runner) -> int:
    base = runner.auto_scale_lr.get("base_batch_size")
    if isinstance(base, bool) or not isinstance(base, int) or base < 1:
        raise ConfigError(
            f"auto_scale_lr.base_batch_size is {base!r}, expected the total batch that the "
            "config's learning rate is for, a whole number from 1"
        )
    return base


def _schedulers(runner: Runner) -> list[Any]:
    schedulers = runner.param_schedulers or []
    return sum(schedulers.values(), []) if isinstance(schedulers, dict) else list(schedulers)
