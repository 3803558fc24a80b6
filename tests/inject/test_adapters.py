"""Every shipped adapter on a small model: what moves in, that it is right, that it trains."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm import apply_fdam
from fdam_mm.layers import AttInv, FreqScale

timm = pytest.importorskip("timm")
from support.timm_models import CASES, Case, let_everything_count, random_image  # noqa: E402


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def _relative_change(after: Tensor, before: Tensor) -> float:
    return ((after - before).norm() / before.norm()).item()


def test_starts_near_identity_keeps_keys_and_trains(case: Case) -> None:
    model = case.build().eval()
    keys, weights = set(model.state_dict()), dict(model.named_parameters())
    images = [random_image(s) for s in (case.size, case.odd_size) if s is not None]
    with torch.no_grad():
        before = [model(image) for image in images]
    wide = dict(mlp_ratio=1.0)  # at these widths the default leaves one hidden channel, often dead
    report = apply_fdam(model, **{"freq_scale": wide, **case.apply})
    assert len(report.skipped) == case.skipped
    assert (report.count("AttInv"), report.count("FreqScale")) == (case.att_inv, case.freq_scale)

    with torch.no_grad():
        after = [model(image) for image in images]
    assert max(map(_relative_change, after, before)) < 1e-3

    state = model.state_dict()
    assert keys <= set(state)
    new = {k: p for k, p in model.named_parameters() if k not in weights}
    assert set(state) - keys == set(new)
    assert all(".att_inv." in f".{k}" or ".freq_scale_" in f".{k}" for k in new)
    assert sum(p.numel() for p in new.values()) == report.parameters
    assert case.build().load_state_dict(state, strict=False).missing_keys == []

    let_everything_count(model)
    features = model.forward_features(images[-1])
    (features * torch.randn_like(features)).sum().backward()
    assert [k for k, p in new.items() if p.grad is None or not p.grad.any()] == []
    assert all(torch.isfinite(p.grad).all() for p in new.values())


def test_values_belong_to_the_tokens_of_y(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every token attends to itself alone, y is v."""
    if not case.att_inv:
        pytest.skip("no softmax attention")
    model = case.build().eval()
    apply_fdam(model, freq_scale=False, **case.apply)
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    monkeypatch.setattr(Tensor, "softmax", _attend_to_itself)
    differences = []

    def compare(_: nn.Module, args: tuple[Tensor, Tensor, Tensor]) -> None:
        x, v, y = args
        assert x.shape == v.shape == y.shape
        differences.append((v - y).abs().max().item())

    for layer in (m for m in model.modules() if isinstance(m, AttInv)):
        layer.register_forward_pre_hook(compare)
    with torch.no_grad():
        model(random_image(case.odd_size or case.size))
    reduced = sum(getattr(m, "sr", None) is not None for m in model.modules())
    assert len(differences) == case.att_inv
    assert sum(d < 1e-5 for d in differences) >= case.att_inv - reduced


def _attend_to_itself(scores: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Weights of 1 from each query to its own key; keys may be a halo around the queries."""
    queries, keys = scores.shape[-2:]
    weights = torch.eye(queries, keys)
    block, window = math.isqrt(queries), math.isqrt(keys)
    if block < window and (block**2, window**2) == (queries, keys):
        halo = (window - block) // 2
        weights = torch.eye(queries).view(queries, block, block)
        weights = F.pad(weights, (halo, halo, halo, halo)).flatten(1)
    return weights.expand_as(scores).clone()


@pytest.mark.parametrize("name", ["pvt_v2", "pvt_v2 linear", "twins pcpvt", "twins svt"])
def test_values_are_those_of_the_unreduced_input(name: str) -> None:
    """The ``query`` reading, and row by row where the attention works in windows."""
    model = CASES[name].build().eval()
    apply_fdam(model, freq_scale=False)
    projections = [m.kv if hasattr(m, "kv") else m.qkv for m in model.modules() if _has_v(m)]
    inputs = []
    for layer in (m for m in model.modules() if isinstance(m, AttInv)):
        layer.register_forward_pre_hook(lambda _, args: inputs.append(args))
    with torch.no_grad():
        model(random_image(CASES[name].odd_size))
        for projection, (x, v, _) in zip(projections, inputs, strict=True):
            expected = F.linear(x, projection.weight, projection.bias)[..., -x.shape[-1] :]
            torch.testing.assert_close(v, expected)


def _has_v(module: nn.Module) -> bool:
    return hasattr(module, "att_inv")


def test_freq_scale_sees_the_whole_map(case: Case) -> None:
    """Every FreqScale works on the model's grid, of an input that is not square where allowed."""
    model = case.build().eval()
    apply_fdam(model, **{**case.apply, "att_inv": False})
    size = case.odd_size or case.size
    grids = []

    def record(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hw = kwargs.get("hw") or (args[1] if len(args) > 1 else args[0].shape[-2:])
        grids.append(tuple(hw))

    for layer in (m for m in model.modules() if isinstance(m, FreqScale)):
        layer.register_forward_pre_hook(record, with_kwargs=True)
    with torch.no_grad():
        model(random_image(size))
    strides = [14] if "patch14" in case.name else [4, 8, 16, 32]
    for up in (0, 1):  # sides are rounded down or up, as the model does
        expected = {tuple((side + up * (s - 1)) // s for side in size) for s in strides}
        if set(grids) <= expected:
            break
    assert set(grids) <= expected
    assert len(grids) == case.freq_scale


@pytest.mark.parametrize("name", ["vit", "beit", "dinov3", "swin", "twins svt", "halonet"])
def test_mixed_precision(name: str) -> None:
    model = CASES[name].build()
    apply_fdam(model)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(random_image(CASES[name].size))
    out.float().sum().backward()
    assert out.dtype == torch.bfloat16
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_hiera_tokens_are_put_on_the_map() -> None:
    model = CASES["hiera"].build()
    apply_fdam(model)
    for index, block in enumerate(model.blocks):
        order = next(iter(block._forward_pre_hooks.values())).__self__.order
        tokens = torch.randn(1, order.order.numel(), 3)
        image = model.reroll(tokens, index)  # (1, H, W, 3)
        assert torch.equal(order.to_map(tokens), image.flatten(1, 2))
        assert torch.equal(order.to_tokens(order.to_map(tokens)), tokens)


def test_grouped_query_attention_repeats_its_values() -> None:
    from timm.layers.attention import AttentionRope

    attn = AttentionRope(24, 4, qkv_fused=False, num_kv_heads=2, num_prefix_tokens=0)
    apply_fdam(attn, freq_scale=False)
    seen = []
    attn.att_inv.register_forward_pre_hook(lambda _, args: seen.append(args))
    x = torch.randn(2, 5, 24)
    attn(x)
    v = attn.v_proj(x).unflatten(-1, (2, 6))  # two heads of values for four of queries
    torch.testing.assert_close(seen[0][1].unflatten(-1, (4, 6)), v[:, :, [0, 0, 1, 1]])


def test_van() -> None:
    pytest.importorskip("mmpretrain")
    from mmpretrain.models.backbones.van import VAN

    model = VAN(arch=dict(embed_dims=[16, 24, 32, 40], depths=[1] * 4, ffn_ratios=[4] * 4))
    model.eval()
    before = model(random_image((52, 84)))[-1]
    report = apply_fdam(model, att_inv=False)
    assert report.count("FreqScale") == 8
    assert _relative_change(model(random_image((52, 84)))[-1], before) < 1e-3


@pytest.mark.parametrize("name, reason", [("xcit_nano_12_p16_224", "channel attention")])
def test_what_is_out_says_why(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        apply_fdam(timm.create_model(name))
