"""Batches of pictures of several sizes, to be predicted.

Seen in mmsegmentation 1.4.2: its preprocessor stacks them unpadded, and stops at such a batch.
"""

from types import MethodType
from typing import Any

from torch import nn


def predict_mixed_sizes(model: nn.Module) -> None:
    """Let a segmentor predict the pictures of a mixed batch one by one, with the same results.

    Other models are left alone: mmdet's pad their batches.
    """
    names = {base.__name__ for base in type(model).__mro__}
    if "BaseSegmentor" in names:
        model.val_step = MethodType(_val_step, model)
        model.test_step = MethodType(_test_step, model)


def _val_step(model: nn.Module, data: Any) -> list[Any]:
    return [s for part in _parts(data) for s in type(model).val_step(model, part)]


def _test_step(model: nn.Module, data: Any) -> list[Any]:
    return [s for part in _parts(data) for s in type(model).test_step(model, part)]


def _parts(data: Any) -> list[Any]:
    """The batch, or a batch for each picture where they are of several sizes."""
    inputs = data.get("inputs") if isinstance(data, dict) else None
    if not isinstance(inputs, list | tuple) or len({item.shape for item in inputs}) < 2:
        return [data]
    return [{key: value[i : i + 1] for key, value in data.items()} for i in range(len(inputs))]
