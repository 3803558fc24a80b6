"""Ending a training whose losses or weights are no longer finite numbers."""

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal

import torch
from mmengine.dist import all_gather_object, all_reduce, get_world_size
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from fdam_mm.checkpoints.finite import listing, non_finite
from fdam_mm.errors import DivergedError, UsageError
from fdam_mm.toolkits.patches.best_scores import compare_finite_scores_alone

from .unwrapping import bare_model

_REMEDY = (
    "Nothing of it was saved: go on from the last checkpoint with --resume after lowering the "
    "learning rate (optim_wrapper.optimizer.lr), clipping gradients "
    "(optim_wrapper.clip_grad.max_norm=1), looking at the data (tools/check_data.py), or leaving "
    "out such steps (default_hooks.finite.action=skip)"
)


@HOOKS.register_module()
class FiniteHook(Hook):
    """Stop a training whose losses are not finite; every :class:`FDAMRunner` has one.

    Weights that are not finite are lost: then it stops at once. They are looked at when a loss is
    not finite, before each validation and each save, and at the end. While the weights are fine
    (fp16's loss scaling leaves out steps, so does ``skip``), it stops after ``patience``
    iterations in a row. An infinite gradient that fp16's loss scaling finds is not counted.

    The losses of all processes are averaged before (:class:`MeanLossHook`), so that all decide
    alike. mmengine brings every loss to the CPU in every iteration, so that looking costs nothing.

    Args:
        action: ``stop`` only looks. ``skip`` also leaves out the optimizer's steps whose gradients
            are not finite, at the cost of looking at them in each.
        patience: Iterations in a row with a loss or gradient that is not finite, to stop after.

    Raises:
        UsageError: ``action`` or ``patience`` is something else.
    """

    priority = "VERY_HIGH"  # after MeanLossHook, before weights are averaged or saved

    def __init__(self, action: Literal["stop", "skip"] = "stop", patience: int = 10) -> None:
        if action not in ("stop", "skip"):
            raise UsageError(f"default_hooks.finite.action is {action!r}, expected stop or skip")
        if not isinstance(patience, int) or patience < 1:
            raise UsageError(f"default_hooks.finite.patience is {patience!r}, expected 1 or more")
        self.action = action
        self.patience = patience
        self._in_a_row = 0
        self._any_good = False
        self._skipped = False

    def before_train(self, runner: Runner) -> None:
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook) and hook.save_best:
                compare_finite_scores_alone(hook)
        if self.action == "skip":
            for wrapper in optim_wrappers(runner):
                wrapper.optimizer.register_step_pre_hook(self._drop_bad_gradients)

    def _drop_bad_gradients(self, optimizer: Optimizer, *_: Any) -> None:
        """An optimizer passes over parameters without a gradient."""
        params = [p for group in optimizer.param_groups for p in group["params"]]
        gradients = [p.grad for p in params if p.grad is not None]
        parts = [g.to_local() if isinstance(g, DTensor) else g for g in gradients]
        norm = torch.nn.utils.get_total_norm([p for p in parts if p.numel()], norm_type=math.inf)
        bad = (~norm.isfinite()).float()
        if any(isinstance(gradient, DTensor) for gradient in gradients):
            all_reduce(bad, op="max")
        if not bad:
            return
        self._skipped = True
        for param in params:
            param.grad = None

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        bad = _not_finite(outputs or {}) or _bad_gradient_norm(runner)
        if self._skipped and not bad:
            bad = dict(gradients=math.nan)
        self._skipped = False
        if not bad:
            self._in_a_row, self._any_good = 0, True
            return
        self._in_a_row += 1
        terms = ", ".join(f"{name} {value:g}" for name, value in bad.items())
        require_finite(runner, f"iteration {runner.iter + 1}: {terms}")
        if self._in_a_row >= self.patience:
            raise DivergedError(self._row(runner.iter + 1, terms))
        end = f"{self.patience} in a row end the training"
        runner.logger.warning(f"iteration {runner.iter + 1}: {terms}; {end}")

    def _row(self, iteration: int, terms: str) -> str:
        row = f"{self._in_a_row} iterations in a row were not finite"
        return f"iteration {iteration}: {row} ({terms}). {_REMEDY}"

    def before_val_epoch(self, runner: Runner) -> None:
        if optim_wrappers(runner):  # built: this is a training's validation
            require_finite(runner, f"iteration {runner.iter}, before its validation")

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        bad = _not_finite(metrics or {})
        if bad:
            runner.logger.warning(f"the validation's {listing(list(bad))}: not finite")

    def after_train(self, runner: Runner) -> None:
        require_finite(runner, f"iteration {runner.iter}, the last")
        if self._in_a_row and not self._any_good:
            raise DivergedError(self._row(runner.iter, "all of this training"))


def require_finite(runner: Runner, when: str) -> None:
    """See that weights, their averages and the optimizer's state are finite, on all processes.

    All of them have to call it.

    Raises:
        DivergedError: They are not; begins with ``when`` and names the first.
    """
    model = bare_model(runner.model)
    meant = runner.meant_infinities
    bad = non_finite(model.state_dict(), meant)
    for hook in runner.hooks:
        if isinstance(hook, EMAHook) and hasattr(hook, "ema_model"):
            averaged = hook.ema_model.module.state_dict()
            bad += [f"averaged {name}" for name in non_finite(averaged, meant)]
    for wrapper in optim_wrappers(runner):
        states = dict(enumerate(wrapper.optimizer.state.values()))
        bad += [f"optimizer {name}" for name in non_finite(states)]
    if get_world_size() > 1:  # the weights are alike, buffers as those of BN are not
        bad = list(dict.fromkeys(name for names in all_gather_object(bad) for name in names))
    if bad:
        raise DivergedError(
            f"{when}; {len(bad)} tensors are nan or infinite: {listing(bad)}. {_REMEDY}"
        )


def _not_finite(values: Mapping[str, Any]) -> dict[str, float]:
    """Those of the numbers and tensors of one number that are not finite."""
    numbers = {k: v for k, v in values.items() if isinstance(v, Real)}
    for name, value in values.items():
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            numbers[name] = value.item()
    return {k: float(v) for k, v in numbers.items() if not math.isfinite(v)}


def _bad_gradient_norm(runner: Runner) -> dict[str, float]:
    """The norm by which gradients were clipped in this iteration; not fp16's, which is scaled."""
    wrapper = runner.optim_wrapper
    name = "train/grad_norm"
    if (
        not isinstance(wrapper, OptimWrapper)
        or not wrapper.clip_grad_kwargs
        or not wrapper.should_update()
        or hasattr(wrapper, "loss_scaler")
        or name not in runner.message_hub.log_scalars
    ):
        return {}
    return _not_finite(dict(grad_norm=runner.message_hub.get_scalar(name).current()))


def optim_wrappers(runner: Runner) -> list[OptimWrapper]:
    """Those of the training; none where nothing is trained."""
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, OptimWrapperDict):
        return list(wrapper.values())
    return [wrapper] if isinstance(wrapper, OptimWrapper) else []
