"""Focal loss and deformable attention on a GPU that mmcv has no kernels for."""

import inspect

import mmcv.ops
import pytest
import torch
from mmcv.ops import focal_loss, multi_scale_deform_attn
from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss

from fdam_mm.toolkits.patches.absent_kernels import compute_in_torch, sigmoid_focal_loss


def test_upstream_calls_its_kernels_wherever_there_is_cuda() -> None:
    attention = inspect.getsource(multi_scale_deform_attn.MultiScaleDeformableAttention.forward)
    assert "IS_CUDA_AVAILABLE and value.is_cuda" in attention
    with pytest.raises(RuntimeError, match="not found|not compiled|implementation"):
        focal_loss.sigmoid_focal_loss(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))


def test_both_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (mmcv.ops, focal_loss):
        monkeypatch.setattr(module, "sigmoid_focal_loss", module.sigmoid_focal_loss)
    monkeypatch.setattr(multi_scale_deform_attn, "IS_CUDA_AVAILABLE", True)
    compute_in_torch()
    assert not multi_scale_deform_attn.IS_CUDA_AVAILABLE
    assert mmcv.ops.sigmoid_focal_loss is focal_loss.sigmoid_focal_loss is sigmoid_focal_loss


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_focal_loss(reduction: str) -> None:
    logits, target = torch.randn(7, 3), torch.tensor([0, 1, 2, 3, 3, 0, 1])  # 3 is none
    true = torch.nn.functional.one_hot(target, 4)[:, :3]
    expected = py_sigmoid_focal_loss(logits, true, gamma=2.0, alpha=0.25, reduction="none")
    weight = torch.tensor([1.0, 2.0, 0.5])
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0])[target].unsqueeze(1)
    for given, factor in ((None, 1.0), (weight, weights)):
        found = sigmoid_focal_loss(logits, target, 2.0, 0.25, given, reduction)
        whole = expected * factor
        reduced = {"none": whole, "sum": whole.sum(), "mean": whole.sum() / 7}[reduction]
        assert torch.allclose(found, reduced, rtol=1e-5, atol=1e-7)
