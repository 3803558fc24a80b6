"""apply_fdam on timm's ViT is our own backbone."""

import pytest
import torch
from support.compiled import check_compiled

from fdam_mm import apply_fdam

timm = pytest.importorskip("timm")


def _vit(**settings) -> torch.nn.Module:
    torch.manual_seed(0)
    small = dict(img_size=64, depth=3, embed_dim=64, num_heads=4, dynamic_img_size=True)
    return timm.create_model("vit_tiny_patch16_224", num_classes=0, **{**small, **settings}).eval()


@pytest.mark.parametrize("layer_scale", [None, 0.1])
@pytest.mark.parametrize("size", [(64, 64), (32, 80)])
def test_equals_our_backbone(layer_scale: float | None, size: tuple[int, int]) -> None:
    pytest.importorskip("mmcv")
    from fdam_mm.models import FDAMVisionTransformer

    model = _vit(init_values=layer_scale)
    apply_fdam(model)
    for name, parameter in model.named_parameters():
        if name.endswith(("low_gamma", "high_gamma", "bases")):
            torch.nn.init.normal_(parameter, std=0.3)
    ours = FDAMVisionTransformer(
        img_size=64,
        embed_dims=64,
        num_layers=3,
        num_heads=4,
        out_indices=(0, 1, 2),
        layer_scale_init=layer_scale,
        with_cls_token=True,
        fdam=dict(att_inv=True, freq_scale=True),
    ).eval()
    state = {
        k.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): v
        for k, v in model.state_dict().items()
        if not k.startswith("norm.")
    }
    ours.load_state_dict(state)  # the same keys
    image = torch.randn(2, 3, *size)
    with torch.no_grad():
        expected = model.forward_intermediates(image, intermediates_only=True)
        outputs = ours(image)
    # timm resizes positions with antialiasing, we do not: the same only where nothing is resized
    tolerance = 1e-5 if size == (64, 64) else 0.05
    for theirs, our in zip(expected, outputs, strict=True):
        torch.testing.assert_close(our, theirs, rtol=tolerance, atol=tolerance)


def test_patch_dropout_is_refused() -> None:
    with pytest.raises(ValueError, match="patch dropout"):
        apply_fdam(_vit(patch_drop_rate=0.5))


def test_timms_own_checkpointing() -> None:
    model = _vit()
    apply_fdam(model)
    image = torch.randn(2, 3, 32, 80)
    model(image).square().sum().backward()
    expected = {k: p.grad.clone() for k, p in model.named_parameters()}
    model.zero_grad()
    model.set_grad_checkpointing()
    model.train()(image).square().sum().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name])


def test_compiles_without_a_graph_break() -> None:
    model = _vit(depth=1, global_pool="avg")  # where all tokens count
    apply_fdam(model, freq_scale=dict(mlp_ratio=1.0))  # one hidden channel may be dead
    image = torch.randn(1, 3, 64, 64)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    check_compiled(model, compiled, (image,))


def test_compiles_after_calls_with_gradients() -> None:
    """They leave inputs that the grid remembers, whose keys dynamo cannot read."""
    model = _vit(depth=2)
    apply_fdam(model)
    image = torch.randn(1, 3, 64, 64)
    expected = model(image)
    kept = model(torch.randn(1, 3, 32, 64))  # its graph keeps the inputs of blocks alive
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(image), expected)
    assert kept.requires_grad
