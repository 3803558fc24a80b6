"""Seeing that a checkpoint holds a training to go on with, before any hook or loop takes it."""

import logging
from collections.abc import Mapping
from typing import Any

from mmengine.hooks import EMAHook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor

from fdam_mm.checkpoints.weights import require_weights
from fdam_mm.errors import CheckpointError, CheckpointMismatchError

from .unwrapping import bare_model

_STEPS = "steps"  # EMA's counter, beside the averages
_OF_SHAPE = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer")
_PARTS = ("optimizer", "param_schedulers")
_HUB = ("log_scalars", "runtime_info", "resumed_keys")


def require_resumable(runner: Runner, checkpoint: dict[str, Any], origin: str) -> None:
    """Check all but the weights and what needs the optimizer; says what is missing.

    An absent ``message_hub``, which holds logged values alone, becomes an empty one.

    Raises:
        CheckpointError: A part is missing or of another kind; names it.
    """
    meta = _mapping(checkpoint.get("meta"), "meta", origin)
    for key in ("epoch", "iter"):
        if type(meta.get(key)) is not int or meta[key] < 0:
            raise CheckpointError(
                f"{origin}: meta.{key} is {_said(meta.get(key))}, expected a number of steps from "
                "0; it is no checkpoint of a training to resume. To start from its weights alone: "
                "--cfg-options load_from=FILE in place of --resume"
            )
    hub = _mapping(checkpoint.setdefault("message_hub", {}), "message_hub", origin)
    for key in _HUB:
        _mapping(hub.setdefault(key, {}), f"message_hub.{key}", origin)
    for key in _PARTS:
        if key not in checkpoint:
            print_log(
                f"{origin} has no {key}: it starts afresh, so that the training is not the "
                "uninterrupted one",
                logger="current",
                level=logging.WARNING,
            )
    # Built as Runner.resume builds them afterwards, where that has not been done.
    if "optimizer" in checkpoint:
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        _require_optimizer(runner.optim_wrapper, checkpoint["optimizer"], "optimizer", origin)
    if "param_schedulers" in checkpoint and runner.param_schedulers is not None:
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
        _require_schedulers(runner.param_schedulers, checkpoint["param_schedulers"], origin)
    if any(isinstance(hook, EMAHook) for hook in runner.hooks):
        _require_averages(runner, checkpoint, origin)


def _require_optimizer(wrapper: Any, state: Any, name: str, origin: str) -> None:
    """Of one optimizer, or of several by name."""
    state = _mapping(state, name, origin)
    if isinstance(wrapper, OptimWrapperDict):
        for key, part in wrapper.items():
            _require_optimizer(part, state.get(key), f"{name}.{key}", origin)
        return
    values, groups = state.get("state"), state.get("param_groups")
    if not isinstance(values, Mapping) or not isinstance(groups, list):
        raise CheckpointError(f"{origin}: {name} has no state and param_groups of an optimizer")
    groups = [_mapping(g, f"{name}.param_groups.{i}", origin) for i, g in enumerate(groups)]
    ours = [len(group["params"]) for group in wrapper.optimizer.param_groups]
    theirs = [len(g["params"]) if isinstance(g.get("params"), list) else None for g in groups]
    if ours != theirs:
        raise CheckpointMismatchError(
            f"{origin}: {name} has groups of {theirs} tensors, the config's optimizer groups of "
            f"{ours}; resume with the optimizer and paramwise_cfg of that training"
        )
    params = [p for group in wrapper.optimizer.param_groups for p in group["params"]]
    numbers = [number for group in groups for number in group["params"]]
    for number, param in zip(numbers, params, strict=True):
        where = f"{name}.state.{number}"
        for key, value in _mapping(values.get(number, {}), where, origin).items():
            if key in _OF_SHAPE and getattr(value, "shape", None) != param.shape:
                raise CheckpointMismatchError(
                    f"{origin}: {where}.{key} is {_said(value)}, expected a tensor of the shape "
                    f"{tuple(param.shape)}; the order of the model's tensors differs"
                )


def _require_schedulers(
    ours: Any, state: Any, origin: str, name: str = "param_schedulers"
) -> None:
    if isinstance(ours, Mapping):
        state = _mapping(state, name, origin)
        for key, part in ours.items():
            _require_schedulers(part, state.get(key), origin, f"{name}.{key}")
        return
    if not isinstance(state, list) or len(state) != len(ours):
        raise CheckpointError(
            f"{origin}: {name} is {_said(state)}, expected a list of {len(ours)} as the config has"
        )
    for index, (scheduler, saved) in enumerate(zip(ours, state, strict=True)):
        saved = _mapping(saved, f"{name}.{index}", origin)
        for key, value in scheduler.state_dict().items():
            number = isinstance(value, int | float)
            if key not in saved or number != isinstance(saved[key], int | float):
                raise CheckpointError(
                    f"{origin}: {name}.{index}.{key} is {_said(saved.get(key))}, the config's "
                    f"{type(scheduler).__name__} has {_said(value)}; resume with the "
                    "param_scheduler of that training"
                )


def _require_averages(runner: Runner, checkpoint: Mapping[str, Any], origin: str) -> None:
    """The averages are swapped with the weights by name: they must be of the same model."""
    if "ema_state_dict" not in checkpoint:
        return  # EMAHook says it
    state = checkpoint["ema_state_dict"]
    require_weights(state, f"{origin}, ema_state_dict")
    wanted = {f"module.{k}": v.shape for k, v in bare_model(runner.model).state_dict().items()}
    found = {k: v.shape for k, v in state.items() if k != _STEPS}
    wrong = [k for k in {**wanted, **found} if wanted.get(k) != found.get(k)]
    if wrong:
        ours, theirs = (d.get(wrong[0]) for d in (wanted, found))
        raise CheckpointMismatchError(
            f"{origin}: its ema_state_dict is of another model, {len(wrong)} tensors differ; "
            f"{wrong[0]!r} is {_size(theirs)}, the model's is {_size(ours)}"
        )


def _size(shape: Any) -> str:
    return "missing" if shape is None else str(tuple(shape))


def _mapping(value: Any, name: str, origin: str) -> Any:
    if not isinstance(value, Mapping):
        raise CheckpointError(f"{origin}: {name} is {_said(value)}, expected a dict")
    wrong = [key for key in value if not isinstance(key, str)]
    if wrong:
        raise CheckpointError(f"{origin}: {name} has the key {wrong[0]!r}, expected text")
    return value


def _said(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, Tensor):
        return f"a tensor of the shape {tuple(value.shape)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return str(value) if isinstance(value, int | float) else f"a {type(value).__name__}"
