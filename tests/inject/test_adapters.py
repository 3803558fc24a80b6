"""Every shipped adapter on a small model: what moves in, that it is right, that it trains."""

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm import apply_fdam
from fdam_mm.layers import AttInv, FreqScale

timm = pytest.importorskip("timm")


@dataclass(frozen=True)
class Case:
    """A model by its timm name and reduced settings, and what it must get."""

    name: str
    settings: dict[str, Any]
    att_inv: int
    freq_scale: int
    size: tuple[int, int] = (64, 64)
    odd_size: tuple[int, int] | None = None  # where the model takes another size
    skipped: int = 0
    apply: dict[str, Any] = field(default_factory=dict)

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        entry = timm.create_model if self.name in timm.list_models() else _BUILDERS[self.name]
        args = (self.name,) if self.name in timm.list_models() else ()
        model = entry(*args, num_classes=5, **self.settings)
        for parameter in model.parameters():  # a zero head hides everything
            if parameter.ndim == 2 and not parameter.any():
                nn.init.normal_(parameter, std=0.02)
        return model


def _gcvit(**settings: Any) -> nn.Module:
    return timm.models.gcvit.GlobalContextVit(**settings)


def _focalnet(**settings: Any) -> nn.Module:
    return timm.models.focalnet.FocalNet(**settings)


def _maxxvit(**settings: Any) -> nn.Module:
    """MaxViT of two small stages; ``attn`` are settings of its attention."""
    from timm.models.maxxvit import MaxxVit, MaxxVitCfg, MaxxVitTransformerCfg

    window = dict(window_size=(4, 4), grid_size=(4, 4), dim_head=16, **settings.pop("attn"))
    cfg = MaxxVitCfg(
        embed_dim=(32, 48),
        depths=settings.pop("depths", (1, 1)),
        block_type=settings.pop("block_type", ("M", "M")),
        stem_width=16,
        transformer_cfg=MaxxVitTransformerCfg(**window),
    )
    return MaxxVit(cfg, img_size=32, **settings)


_BUILDERS = {"gcvit": _gcvit, "focalnet": _focalnet, "maxxvit": _maxxvit}
_SMALL = dict(depth=2, embed_dim=48, num_heads=3)
_WINDOWS = dict(depths=(2, 1), embed_dim=24, num_heads=(2, 4), window_size=4)
_PYRAMID = dict(depths=(1, 1, 1, 1), embed_dims=(16, 32, 40, 48), num_heads=(1, 2, 4, 8))
NORMS = ("norm1.weight", "norm2.weight", "bn.weight")
_FREE = dict(strict_img_size=False)
_PLAIN = dict(att_inv=False)

CASES = {
    "vit": Case(
        "vit_tiny_patch16_224", dict(dynamic_img_size=True, img_size=64, **_SMALL), 2, 4,
        odd_size=(32, 80),
    ),
    "vit qk norm, scale norm": Case(
        "vit_tiny_patch16_224",
        dict(img_size=64, qk_norm=True, scale_attn_norm=True, init_values=0.1, **_SMALL), 2, 4,
    ),
    "deit distilled": Case("deit_tiny_distilled_patch16_224", dict(img_size=64, **_SMALL), 2, 4),
    "deit3": Case("deit3_small_patch16_224", dict(img_size=64, **_SMALL), 2, 4),
    "dinov2 registers": Case(
        "vit_small_patch14_reg4_dinov2", dict(img_size=56, dynamic_img_size=True, **_SMALL), 2, 4,
        size=(56, 56), odd_size=(28, 70),
    ),
    "dinov3": Case(
        "vit_small_patch16_dinov3", dict(img_size=64, **_SMALL), 2, 4, odd_size=(32, 80)
    ),
    "beit": Case("beit_base_patch16_224", dict(img_size=64, **_SMALL), 2, 4),
    "eva02": Case("eva02_tiny_patch14_224", dict(img_size=56, **_SMALL), 2, 4, size=(56, 56)),
    "eva02, separate qkv, inner norm": Case(
        "eva02_base_patch14_224", dict(img_size=56, scale_attn_inner=True, **_SMALL), 2, 4,
        size=(56, 56),
    ),
    "swin": Case(
        "swin_tiny_patch4_window7_224", dict(img_size=64, **_WINDOWS, **_FREE), 3, 6,
        odd_size=(36, 84),
    ),
    "swinv2": Case(
        "swinv2_tiny_window8_256", dict(img_size=64, **_WINDOWS, **_FREE), 3, 6, odd_size=(36, 84)
    ),
    "pvt_v2": Case("pvt_v2_b0", _PYRAMID, 4, 8, odd_size=(52, 84)),
    "pvt_v2 linear": Case("pvt_v2_b2_li", _PYRAMID, 4, 8, odd_size=(52, 84)),
    "twins svt": Case(
        "twins_svt_small",
        dict(img_size=64, wss=(7, 7, 7, 7), **{**_PYRAMID, "depths": (2, 1, 1, 1)}), 5, 10,
        odd_size=(32, 96),
    ),
    "twins pcpvt": Case(
        "twins_pcpvt_small", dict(img_size=64, **_PYRAMID), 4, 8, odd_size=(32, 96)
    ),
    "maxvit": Case("maxxvit", dict(attn=dict(head_first=True)), 4, 8, size=(32, 32)),
    "maxvit heads last": Case("maxxvit", dict(attn=dict(head_first=False)), 4, 8, size=(32, 32)),
    "maxvit channels first": Case(
        "maxxvit", dict(attn=dict(use_nchw_attn=True)), 4, 8, size=(32, 32), odd_size=(32, 64)
    ),
    "coatnet": Case(
        "maxxvit", dict(attn={}, depths=(1, 2), block_type=("C", "T")), 1, 4, size=(32, 32),
        skipped=1,
    ),
    "davit": Case(
        "davit_tiny",
        dict(
            depths=(1, 1, 1, 1), embed_dims=(16, 24, 32, 48), num_heads=(1, 2, 4, 4),
            window_size=3,
        ),
        4, 16, odd_size=(52, 84), skipped=4,
    ),
    "gcvit": Case(
        "gcvit",
        dict(
            img_size=64, embed_dim=16, depths=(2, 1, 1, 1), num_heads=(2, 2, 4, 4),
            window_ratio=(16, 16, 16, 32),
        ),
        5, 10,
    ),
    "convit": Case(
        "convit_tiny", dict(img_size=64, depth=3, local_up_to_layer=2, embed_dim=12), 3, 6
    ),
    "halonet": Case("halonet26t", {}, 2, 3, size=(256, 256), skipped=1),
    "hiera": Case(
        "hiera_tiny_224",
        dict(
            img_size=(64, 128), embed_dim=24, stages=(1, 2, 2, 1), head_init_scale=1.0,
        ),
        3, 12, size=(64, 128), skipped=3,
    ),
    "focalnet": Case(
        "focalnet", dict(depths=(1, 1), embed_dim=24), 0, 4, odd_size=(52, 84), apply=_PLAIN
    ),
    "focalnet post-norm": Case(
        "focalnet", dict(depths=(1, 1), embed_dim=24, use_post_norm=True), 0, 4, apply=_PLAIN
    ),
    "convnext": Case(
        "convnext_atto", dict(depths=(1, 1, 1, 1), dims=(16, 24, 32, 40)), 0, 4,
        odd_size=(52, 84), apply=_PLAIN,
    ),
    "convnext linear": Case(
        "convnext_tiny", dict(depths=(1, 1, 1, 1), dims=(16, 24, 32, 40)), 0, 4, apply=_PLAIN
    ),
    "mambaout": Case(
        "mambaout_femto", dict(depths=(1, 1, 1, 1), dims=(16, 24, 32, 40)), 0, 4,
        odd_size=(52, 84), apply=_PLAIN,
    ),
}  # fmt: skip


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def _relative_change(after: Tensor, before: Tensor) -> float:
    return ((after - before).norm() / before.norm()).item()


def _image(size: tuple[int, int]) -> Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))


def test_starts_near_identity_keeps_keys_and_trains(case: Case) -> None:
    model = case.build().eval()
    keys, weights = set(model.state_dict()), dict(model.named_parameters())
    images = [_image(s) for s in (case.size, case.odd_size) if s is not None]
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

    _let_everything_count(model)
    features = model.forward_features(images[-1])
    (features * torch.randn_like(features)).sum().backward()
    assert [k for k, p in new.items() if p.grad is None or not p.grad.any()] == []
    assert all(torch.isfinite(p.grad).all() for p in new.values())


def _let_everything_count(model: nn.Module) -> None:
    """Undo initialisations that switch sub-layers off, and FDAM's own near identity."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("low_gamma", "high_gamma", "bases")):
                parameter.normal_(std=0.1)
            elif parameter.ndim == 1 and name.endswith((*NORMS, "gamma")):
                parameter.fill_(1.0)


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
        model(_image(case.odd_size or case.size))
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
        model(_image(CASES[name].odd_size))
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
        model(_image(size))
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
        out = model(_image(CASES[name].size))
    out.float().sum().backward()
    assert out.dtype == torch.bfloat16
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_hiera_tokens_are_put_on_the_map() -> None:
    model = CASES["hiera"].build()
    apply_fdam(model)
    for index, block in enumerate(model.blocks):
        relay = block.freq_scale_relay
        tokens = torch.randn(1, relay.order.numel(), 3)
        image = model.reroll(tokens, index)  # (1, H, W, 3)
        assert torch.equal(tokens[:, relay.order], image.flatten(1, 2))
        assert torch.equal(tokens[:, relay.order][:, relay.inverse], tokens)


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
    before = model(_image((52, 84)))[-1]
    report = apply_fdam(model, att_inv=False)
    assert report.count("FreqScale") == 8
    assert _relative_change(model(_image((52, 84)))[-1], before) < 1e-3


@pytest.mark.parametrize("name, reason", [("xcit_nano_12_p16_224", "channel attention")])
def test_what_is_out_says_why(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        apply_fdam(timm.create_model(name))
