"""Which of mmcv's compiled operations a config needs, asked before anything is read or built."""

import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import METRICS, MODELS, TASK_UTILS, Registry

from fdam_mm.errors import OperationError

from . import operations
from .registration import TOOLKITS
from .scope import scope_of, toolkit_scope
from .types import class_of

_EVALUATORS = ("val_evaluator", "test_evaluator")  # on the CPU, wherever the model is
# A class that can call these does so only where a setting names one, and that setting is seen.
_NAMED_BY_SETTINGS = ("batched_nms", "CARAFEPack")
# Whose kernels are not needed: see fdam_mm.toolkits.patches.absent_kernels.
_WITHOUT_KERNELS = ("mmcv.ops.multi_scale_deform_attn", "mmcv.ops.focal_loss")


class Need(NamedTuple):
    """An operation, and the setting that asks for it.

    Attributes:
        key: ``model.roi_head.bbox_roi_extractor.roi_layer``.
        kind: Its ``type``.
        operation: A name in ``mmcv.ops``.
    """

    key: str
    kind: str
    operation: str


def require_operations(config: Config, device: str, *parts: str) -> None:
    """See that mmcv has what the parts of a config need, its model on ``device``.

    Args:
        parts: ``model``, or evaluators; all of them by default.

    Raises:
        OperationError: An operation is missing; names it, the setting, why, and what to do.
    """
    for part in parts or ("model", *_EVALUATORS):
        reason = operations.why_missing("cpu" if part in _EVALUATORS else device)
        need = next(needed(config, part), None) if reason else None
        if need:
            raise OperationError(
                f"config {config.filename}: {need.key} ({need.kind}) needs mmcv's operation "
                f"{need.operation}, and {reason}; `make install` compiles them (docs/gpu.md)"
            )


def needed(config: Config, part: str) -> Iterator[Need]:
    """What a part of a config needs of mmcv's operations, in the order of its settings."""
    scope = scope_of(config)
    registries = (METRICS,) if part in _EVALUATORS else (MODELS, TASK_UTILS)
    with toolkit_scope(scope):
        yield from _needed(config.get(part), part, registries, scope)


def _needed(value: Any, key: str, registries: tuple[Registry, ...], scope: str) -> Iterator[Need]:
    if isinstance(value, Mapping):
        kind = value.get("type")
        if isinstance(kind, str | type):
            name = kind.rpartition(".")[2] if isinstance(kind, str) else kind.__name__
            yield from (Need(key, name, found) for found in _of_type(kind, registries, scope))
        for inner, item in value.items():
            yield from _needed(item, f"{key}.{inner}", registries, scope)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _needed(item, f"{key}[{index}]", registries, scope)


def _of_type(kind: str | type, registries: tuple[Registry, ...], scope: str) -> Iterator[str]:
    """What a ``type`` stands for: an operation itself, or a class that calls some."""
    if isinstance(kind, str):
        found = getattr(importlib.import_module("mmcv.ops"), kind, None)
        if _is_operation(found):
            yield kind
            return
    for registry in registries:
        found = class_of(kind, registry, scope)
        if _is_operation(found):
            yield found.__name__
        elif isinstance(found, type):
            for _, method in inspect.getmembers(found, inspect.isfunction):
                yield from _called(method)


def _called(function: Any, depth: int = 2) -> Iterator[str]:
    """Operations in the code of a function, and in that of the toolkits' functions it calls."""
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if _is_operation(value) and name not in _NAMED_BY_SETTINGS:
            yield name
        elif depth and inspect.isfunction(value) and _package(value) in TOOLKITS:
            yield from _called(value, depth - 1)


def _is_operation(value: Any) -> bool:
    """Whether it is of a module of ``mmcv.ops`` that calls compiled code."""
    owner = value if inspect.isfunction(value) or inspect.isclass(value) else None
    owner = getattr(value, "__self__", owner)  # of a torch Function's bound ``apply``
    module = getattr(owner, "__module__", None) or ""
    return (
        module.startswith("mmcv.ops.")
        and module not in _WITHOUT_KERNELS
        and hasattr(sys.modules.get(module), "ext_module")
    )


def _package(function: Any) -> str:
    return function.__module__.partition(".")[0]
