"""Batch norms that are frozen keep their running statistics and compute with them."""

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from .children import drop_hook


def hold_statistics(model: nn.Module, is_trained: Callable[[str], bool]) -> None:
    """Let the norms of ``model`` that are not trained run in evaluation mode from now on.

    They do so whatever ``train()`` says, until one of their parameters is to be trained again.

    Args:
        is_trained: Whether the norm of this name follows its inputs; those held before are freed.
    """
    free_statistics(model)
    for name, norm in model.named_modules():
        if isinstance(norm, _NormBase) and norm.track_running_stats and not is_trained(name):
            norm.register_forward_pre_hook(_evaluate)


def free_statistics(model: nn.Module) -> None:
    """Undo :func:`hold_statistics`; modes are those of the next ``train()``."""
    for module in model.modules():
        hooks = module._forward_pre_hooks
        for number in [number for number, hook in hooks.items() if hook is _evaluate]:
            drop_hook(module, number)


def _evaluate(norm: nn.Module, _: tuple[Any, ...]) -> None:
    if norm.training and not any(p.requires_grad for p in norm.parameters(recurse=False)):
        norm.eval()
