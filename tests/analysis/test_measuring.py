"""Measuring whole models: any of timm, with FDAM and without; the model stays as it is."""

import math
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from fdam_mm import apply_fdam
from fdam_mm.analysis.layers import layers_of
from fdam_mm.analysis.measuring import measure
from fdam_mm.analysis.recording import GridFinder
from fdam_mm.errors import UsageError


def vit(**settings: Any) -> nn.Module:
    torch.manual_seed(0)
    sizes = dict(img_size=32, patch_size=4, embed_dim=32, depth=2, num_heads=2, num_classes=0)
    return timm.models.VisionTransformer(**{**sizes, **settings}).eval()


def images(number: int = 2, side: int = 32) -> list[Tensor]:
    return [torch.randn(number, 3, side, side, generator=torch.Generator().manual_seed(1))]


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_blind_attention_passes_frequency_zero_alone() -> None:
    """Without a query all tokens weigh alike: 64 of the grid, and the class token."""
    model = vit()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "qkv" in name:
                parameter[:32] = 0
    found = measure(model, images())
    assert [layer.layer for layer in found] == ["blocks.0", "blocks.1"]
    response = found[0].response
    assert response is not None and found[0].inverted is None
    expected = torch.tensor([math.log1p(64 / 65), 0, 0, 0, 0])
    torch.testing.assert_close(response.mean, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(response.deviation, torch.zeros(5), atol=1e-4, rtol=0)


@pytest.mark.parametrize("fused", [True, False])
def test_fused_and_plain_attention_are_one(fused: bool) -> None:
    model = vit(reg_tokens=2)
    expected = measure(model, images())[1].response
    for block in model.blocks:  # type: ignore[union-attr]
        block.attn.fused_attn = fused
    response = measure(model, images())[1].response
    assert response is not None and expected is not None
    torch.testing.assert_close(response.mean, expected.mean)


def test_the_model_stays_as_it_is_and_so_does_its_output() -> None:
    model = vit()
    apply_fdam(model)
    number, before = hooks(model), model(images()[0])
    seen = []
    found = measure(model, images(), lambda image: seen.append(model(image)))
    assert hooks(model) == number and seen[0].equal(before)
    assert all(layer.inverted is not None for layer in found)
    for layer in found:
        assert sorted(layer.gains) == ["freq_scale_1", "freq_scale_2"]
        assert [round(g, 3) for g in layer.gains["freq_scale_1"]] == [1] * len(layer.frequencies)
        features, spectrum, low, high = layer.views
        assert features.shape == spectrum.shape == (8, 8)
        assert low is not None and high is not None and low.shape == high.shape == (8, 8)


def test_attinv_lets_high_frequencies_through() -> None:
    """A row's sum, its response at frequency 0, stays."""
    model = vit(class_token=False, global_pool="avg")
    apply_fdam(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("high_gamma"):
                parameter.fill_(0.5)
    layer = measure(model, images())[1]
    assert layer.response is not None and layer.inverted is not None
    assert (layer.inverted.mean[1:] > layer.response.mean[1:]).all()
    torch.testing.assert_close(layer.inverted.mean[0], layer.response.mean[0])


def test_maps_of_all_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows and maps with channels last (Swin), convolutions (ConvNeXt), odd sizes."""
    swin = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=64, window_size=4, embed_dim=24,
        depths=(1, 1), num_heads=(2, 2), num_classes=0,
    )  # fmt: skip
    found = measure(swin.eval(), images(1, 64))
    assert [len(layer.frequencies) for layer in found] == [9, 5]
    assert all(layer.response is not None for layer in found)
    assert [len(layer.response.frequencies) for layer in found] == [3, 3]  # type: ignore[union-attr]
    convnext = timm.create_model("convnext_atto", depths=(1, 1, 1, 1), dims=(8, 8, 8, 8))
    found = measure(convnext.eval(), images(1, 72))
    assert [len(layer.frequencies) for layer in found] == [10, 5, 3, 2]
    assert all(layer.response is None for layer in found)


def test_layers_by_name() -> None:
    model = vit()
    assert list(layers_of(model, ["blocks.*.mlp"])) == ["blocks.0.mlp", "blocks.1.mlp"]
    assert [layer.layer for layer in measure(model, images(), layers=["blocks.1"])] == ["blocks.1"]
    with pytest.raises(UsageError, match="'block.1' is the name of no module; some are"):
        layers_of(model, ["block.1"])
    with pytest.raises(UsageError, match="Linear has no blocks"):
        layers_of(nn.Linear(1, 1))


def test_grids_that_fit() -> None:
    finder = GridFinder()
    for grid in [(8, 8), (4, 4), (2, 32)]:
        finder.see(grid)
    assert finder.split(64) == ((2, 32), 0)
    assert finder.split(65) == ((2, 32), 1)
    assert finder.split(18) == ((4, 4), 2)
    assert finder.split(40) is None
    assert finder.as_map(torch.zeros(1, 8, 8, 3)).shape == (1, 3, 8, 8)  # type: ignore[union-attr]
    assert finder.as_map((torch.zeros(1, 16, 3), None)).shape == (1, 3, 4, 4)  # type: ignore[union-attr]
    assert finder.as_map(torch.zeros(1, 7)) is None
