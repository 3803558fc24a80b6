"""Backbones of each family on a GPU: the numbers of a CPU, and a training step under AMP."""

import copy

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("mmseg")

from support.staged_families import FAMILIES  # noqa: E402

from fdam_mm.layers import AttInv, FreqScale  # noqa: E402
from fdam_mm.models import (  # noqa: E402
    FDAMMixVisionTransformer,
    FDAMVisionTransformer,
    LSKNet,
)

BOTH = dict(att_inv=True, freq_scale=dict(mlp_ratio=1))
BACKBONES = {
    "vit": (
        FDAMVisionTransformer,
        dict(img_size=64, embed_dims=48, num_layers=2, num_heads=3, out_indices=(0, 1)),
    ),
    "mit": (
        FDAMMixVisionTransformer,
        dict(embed_dims=16, num_layers=(1, 1, 1, 1), num_heads=(1, 2, 4, 4)),
    ),
    "lsknet": (
        LSKNet,
        dict(embed_dims=(16, 32, 64, 64), depths=(1, 1, 1, 1), mlp_ratios=(2, 2, 2, 2)),
    ),
    **FAMILIES,
}
families = pytest.mark.parametrize("family", BACKBONES)


def built(family: str) -> nn.Module:
    """With parameters of FDAM that show in the output."""
    torch.manual_seed(0)
    backbone, settings = BACKBONES[family]
    model = backbone(**settings, fdam=BOTH)
    for layer in model.modules():
        if isinstance(layer, AttInv):
            for name in ("low_gamma", "high_gamma"):
                nn.init.normal_(getattr(layer, name), std=0.5)
        elif isinstance(layer, FreqScale):
            nn.init.normal_(layer.bases, std=0.5)
    return model


@families
def test_float32(family: str, device: torch.device) -> None:
    model = built(family).eval()
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected = model(image)
        found = copy.deepcopy(model).to(device)(image.to(device))
    for out, wanted in zip(found, expected, strict=True):
        assert (out.cpu() - wanted).abs().max() < 1e-4 * wanted.abs().max()


@families
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_a_training_step_under_amp(
    family: str,
    dtype: torch.dtype,
    layout: torch.memory_format,
    device: torch.device,
) -> None:
    model = built(family).to(device, memory_format=layout).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    image = torch.randn(2, 3, 64, 64, device=device).to(memory_format=layout)
    with torch.autocast(device.type, dtype):
        loss = sum(random_mean(out) for out in model(image))
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    ours = [p for n, p in model.named_parameters() if ".att_inv." in n or ".freq_scale_" in n]
    assert ours and all(torch.isfinite(p.grad).all() for p in ours if p.grad is not None)
    assert sum(p.grad is not None and p.grad.any().item() for p in ours) > len(ours) / 2
    scaler.step(optimizer)
    changed = [n for n, p in model.named_parameters() if not torch.equal(p, before[n])]
    assert len(changed) > len(before) / 2


def random_mean(out: Tensor) -> Tensor:
    return (out.float() * torch.randn_like(out, dtype=torch.float32)).mean()
