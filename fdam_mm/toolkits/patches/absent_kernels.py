"""Deformable attention and focal loss in plain torch on a GPU that mmcv was not compiled for.

Seen in mmcv 2.3.6: on a GPU both call their CUDA kernels, whether these were compiled or not. On a
CPU deformable attention has no other form than ours here, which is mmcv's own.
"""

import functools
import importlib

import torch
import torch.nn.functional as F
from torch import Tensor

from fdam_mm.toolkits import operations


@functools.cache
def go_without_absent_kernels() -> None:
    """Where there is a GPU and no kernels; before a toolkit is imported."""
    if torch.cuda.is_available() and not operations.has_kernels():
        compute_in_torch()


def compute_in_torch() -> None:
    """Let mmcv's attention sample by ``grid_sample``, and its focal loss be computed in torch."""
    attention = importlib.import_module("mmcv.ops.multi_scale_deform_attn")
    attention.IS_CUDA_AVAILABLE = False  # what it asks before it calls its kernel
    for name in ("mmcv.ops", "mmcv.ops.focal_loss"):
        importlib.import_module(name).sigmoid_focal_loss = sigmoid_focal_loss


def sigmoid_focal_loss(
    logits: Tensor,
    target: Tensor,
    gamma: float = 2.0,
    alpha: float = 0.25,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Equations 4 and 5 of arXiv 1708.02002, with the arguments of mmcv's operation.

    Args:
        logits: (N, K).
        target: (N,) classes, K for none.
        gamma, alpha: Of the equations.
        weight: (K,), of the classes.
        reduction: ``none``; ``sum``; or ``mean``, the sum over N.

    Returns:
        (N, K) for ``none``, else a number.
    """
    classes = logits.shape[1]
    true = F.one_hot(target, classes + 1)[:, :classes].type_as(logits)
    p = logits.sigmoid()
    wrong = (1 - p) * true + p * (1 - true)
    balance = alpha * true + (1 - alpha) * (1 - true)
    entropy = F.binary_cross_entropy_with_logits(logits, true, reduction="none")
    loss = balance * wrong**gamma * entropy
    if weight is not None and weight.numel():
        loss = loss * _of_targets(weight, target)
    if reduction == "none":
        return loss
    return loss.sum() / (len(logits) if reduction == "mean" else 1)


def _of_targets(weight: Tensor, target: Tensor) -> Tensor:
    """A sample's weight is that of its class, (N, 1), and 1 for none."""
    return torch.cat([weight, weight.new_ones(1)])[target].unsqueeze(1)
