from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from mmseg.models.backbones import MixVisionTransformer
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fdam_mm.errors import CheckpointMismatchError
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.models import FDAMMixVisionTransformer, FDAMVisionTransformer
from fdam_mm.models.backbones.mit import VALUE_SOURCES, SpatialReductionAttention

# embed_dims, num_layers as in B0 .. B5, the third stage shrunk where it is deep
VARIANTS = {
    "b0": (32, (2, 2, 2, 2)),
    "b1": (64, (2, 2, 2, 2)),
    "b2": (64, (3, 4, 6, 3)),
    "b3": (64, (3, 4, 7, 3)),
    "b4": (64, (3, 8, 9, 3)),
    "b5": (64, (3, 6, 10, 3)),
}
BOTH = dict(att_inv=True, freq_scale=True)
REDUCED = dict(att_inv=dict(value_source="reduced"), freq_scale=True)
TINY = dict(embed_dims=16, num_layers=(1, 1, 1, 1), num_heads=(1, 2, 4, 4))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def tiny(**options: object) -> FDAMMixVisionTransformer:
    return FDAMMixVisionTransformer(**{**TINY, **options})


def strong(model: torch.nn.Module) -> torch.nn.Module:
    """Give FDAM's layers parameters that show in the output."""
    for layer in model.modules():
        if isinstance(layer, AttInv):
            for name, parameter in layer.named_parameters():
                if name.endswith("gamma"):
                    torch.nn.init.normal_(parameter, std=0.5)
        elif isinstance(layer, FreqScale):
            torch.nn.init.normal_(layer.bases, std=0.5)
            torch.nn.init.normal_(layer.reweight.fc2.weight)
    return model


def reference(**options: object) -> MixVisionTransformer:
    """mmseg's backbone; every parameter random, so that none can be forgotten."""
    model = MixVisionTransformer(**options).eval()
    model.init_weights()
    for parameter in model.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.1)
    return model


def assert_close(found: tuple[Tensor, ...], expected: tuple[Tensor, ...], tol: float) -> None:
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=tol, atol=tol)


@pytest.mark.parametrize("variant", VARIANTS)
def test_plain_equals_mmseg(variant: str) -> None:
    embed_dims, num_layers = VARIANTS[variant]
    options = dict(embed_dims=embed_dims, num_layers=num_layers, num_heads=(1, 2, 5, 8))
    theirs = reference(**options)
    ours = FDAMMixVisionTransformer(**options).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 3, 75, 97)  # grids with a rest in every reduction
    with torch.no_grad():
        assert_close(ours(x), theirs(x), 1e-5)


@pytest.mark.parametrize(
    "options",
    [
        dict(qkv_bias=False),
        dict(out_indices=(1, 3), mlp_ratio=2),
        dict(act_cfg=dict(type="ReLU"), norm_cfg=dict(type="LN", eps=1e-5)),
        dict(num_stages=2, num_layers=(1, 2), num_heads=(1, 2), patch_sizes=(7, 3))
        | dict(strides=(4, 4), sr_ratios=(2, 1), out_indices=(0, 1)),
    ],
    ids=["no bias", "outputs", "norm and activation", "stages"],
)
def test_other_settings_equal_mmseg(options: dict) -> None:
    theirs = reference(**{**TINY, **options})
    ours = tiny(**options).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    assert_close(ours(x), theirs(x), 1e-5)


def test_gradients_equal_mmseg() -> None:
    theirs, ours = reference(**TINY).double(), tiny().double()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    for model in (theirs, ours):
        sum(out.pow(3).mean() for out in model(x)).backward()
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad, msg=name)


def test_drop_rates_are_mmsegs() -> None:
    options = {**TINY, **dict(num_layers=(2, 1, 3, 1), drop_path_rate=0.3)}
    theirs, ours = MixVisionTransformer(**options), tiny(**options)
    expected = [block.ffn.dropout_layer.drop_prob for stage in theirs.layers for block in stage[1]]
    found = [block.drop_path.drop_prob for stage in ours.layers for block in stage[1]]
    assert found == pytest.approx(expected)

    dropping = tiny(drop_rate=0.5, attn_drop_rate=0.5)
    x = torch.randn(1, 3, 64, 64)
    assert not torch.equal(dropping(x)[-1], dropping(x)[-1])
    dropping.eval()
    assert torch.equal(dropping(x)[-1], dropping(x)[-1])


@pytest.mark.parametrize("fdam", [BOTH, REDUCED], ids=["query", "reduced"])
@pytest.mark.parametrize("size", [(64, 64), (75, 97), (33, 70)])
def test_fdam_starts_near_plain_on_every_grid(fdam: dict, size: tuple[int, int]) -> None:
    plain = tiny(num_layers=(2, 1, 1, 1)).eval()
    model = tiny(num_layers=(2, 1, 1, 1), fdam=fdam).eval()
    assert not model.load_state_dict(plain.state_dict(), strict=False).unexpected_keys
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        expected = plain(x)
        assert_close(model(x), expected, 1e-3)
        changed = strong(model)(x)
    for ours, theirs in zip(changed, expected, strict=True):
        assert torch.isfinite(ours).all() and not torch.allclose(ours, theirs, atol=1e-2)


def attention(sr_ratio: int, **att_inv: object) -> SpatialReductionAttention:
    torch.manual_seed(1)
    module = SpatialReductionAttention(
        16, 2, sr_ratio, True, 0.0, 0.0, dict(type="LN", eps=1e-6), **att_inv
    )
    return strong(module).double().eval()


def test_readings_are_equal_without_reduction() -> None:
    x = torch.randn(2, 7 * 9, 16, dtype=torch.float64)
    query, reduced = (attention(1, value_source=source)(x, (7, 9)) for source in VALUE_SOURCES)
    torch.testing.assert_close(query, reduced, rtol=0, atol=0)


@pytest.mark.parametrize("sr_ratio", [1, 2])
@pytest.mark.parametrize("source", VALUE_SOURCES)
def test_attention_is_the_written_formula(source: str, sr_ratio: int) -> None:
    """Against a naive attention with an explicit matrix, on a grid with a rest."""
    module, (height, width) = attention(sr_ratio, value_source=source), (7, 9)
    x = torch.randn(2, height * width, 16, dtype=torch.float64)
    to_q, to_k, to_v = module.attn.in_proj_weight.chunk(3)
    bias = module.attn.in_proj_bias = torch.nn.Parameter(torch.randn(48, dtype=torch.float64))
    b_q, b_k, b_v = bias.chunk(3)

    kv, grid = x, (height, width)
    if sr_ratio > 1:
        reduced = module.sr(x.transpose(1, 2).reshape(2, 16, height, width))
        kv, grid = module.norm(reduced.flatten(2).transpose(1, 2)), tuple(reduced.shape[-2:])
    q, k, v = x @ to_q.T + b_q, kv @ to_k.T + b_k, kv @ to_v.T + b_v
    y = torch.cat(
        [
            torch.softmax(q[..., head] @ k[..., head].mT / 8**0.5, dim=-1) @ v[..., head]
            for head in (slice(0, 8), slice(8, 16))
        ],
        dim=-1,
    )
    if source == "query":
        values = x @ to_v.T + b_v
    else:
        values = v.transpose(1, 2).reshape(2, 16, *grid)
        values = torch.nn.functional.interpolate(
            values, (height, width), mode="bilinear", align_corners=False
        )
        values = values.flatten(2).transpose(1, 2)
    low, high = (gate.repeat_interleave(8, dim=-1) for gate in module.att_inv.gates(x))
    mixed = y + module.att_inv.low_gamma * low * y
    mixed = mixed + module.att_inv.high_gamma * high * (values - y)
    torch.testing.assert_close(module(x, (height, width)), module.attn.out_proj(mixed))


def test_readings_differ_with_reduction() -> None:
    x = torch.randn(1, 64, 16, dtype=torch.float64)
    query, reduced = (attention(2, value_source=source)(x, (8, 8)) for source in VALUE_SOURCES)
    assert not torch.allclose(query, reduced, atol=1e-3)


@pytest.mark.parametrize(
    "att_inv", [dict(high=False), dict(low=False), dict(low=False, high=False)]
)
def test_paths_of_att_inv_can_be_left_out(att_inv: dict) -> None:
    out = attention(2, **att_inv)(torch.randn(1, 64, 16, dtype=torch.float64), (8, 8))
    assert out.shape == (1, 64, 16)


@pytest.mark.parametrize("fdam", [BOTH, REDUCED], ids=["query", "reduced"])
def test_backward_moves_every_parameter(fdam: dict) -> None:
    # a routing MLP of many channels: a single squared ReLU may be zero for both pictures
    fdam = {**fdam, "freq_scale": dict(mlp_ratio=1)}
    model = strong(tiny(num_layers=(1, 2, 1, 1), fdam=fdam))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    # Weighted at random: the sum of a normed map's squares does not depend on what comes before.
    sum((out * torch.randn_like(out)).sum() for out in model(torch.randn(2, 3, 75, 64))).backward()
    optimizer.step()
    still = [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
    assert not still


@pytest.mark.parametrize("fdam", [None, BOTH, REDUCED], ids=["plain", "query", "reduced"])
def test_checkpointing_changes_nothing(fdam: dict | None) -> None:
    model = strong(tiny(fdam=fdam, drop_path_rate=0.3)).train()
    x = torch.randn(2, 3, 64, 64)
    results = []
    for with_cp in (False, True):
        model.with_cp = with_cp
        model.zero_grad()
        torch.manual_seed(3)
        outs = model(x)
        sum((out * torch.randn_like(out)).mean() for out in outs).backward()
        results.append((outs, tuple(p.grad.clone() for p in model.parameters())))
    for found, expected in zip(*results, strict=True):
        assert_close(found, expected, 1e-6)


@pytest.mark.parametrize("fdam", [BOTH, REDUCED], ids=["query", "reduced"])
def test_bfloat16_autocast(fdam: dict) -> None:
    model = strong(tiny(fdam=fdam))
    x = torch.randn(2, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        outs = model(x)
        loss = sum(out.float().square().mean() for out in outs)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    for half, full in zip(outs, model(x), strict=True):
        assert (half.float() - full).abs().mean() < 0.05


class LargestTensor(TorchDispatchMode):
    """Elements of the largest tensor that any operation returns."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        outs = out if isinstance(out, tuple | list) else (out,)
        self.numel = max([self.numel, *(t.numel() for t in outs if isinstance(t, Tensor))])
        return out


@pytest.mark.parametrize("fdam", [None, BOTH, REDUCED], ids=["plain", "query", "reduced"])
def test_no_tensor_grows_with_the_square_of_tokens(fdam: dict | None) -> None:
    model = tiny(fdam=fdam)
    with LargestTensor() as largest:
        sum(out.mean() for out in model(torch.randn(1, 3, 512, 512))).backward()
    assert largest.numel <= 128 * 128 * 16 * 4  # the Mix-FFN's hidden map


def test_found_from_mmsegs_scope() -> None:
    init_default_scope("mmseg")
    assert isinstance(
        MODELS.build(dict(type="FDAMMixVisionTransformer", **TINY)), FDAMMixVisionTransformer
    )


def test_starts_from_a_pretrained_file(tmp_path: Path) -> None:
    plain = reference(**TINY)
    file = tmp_path / "mit.pth"
    torch.save(plain.state_dict(), file)
    for options in (
        dict(init_cfg=dict(type="Pretrained", checkpoint=str(file))),
        dict(pretrained=str(file)),
    ):
        model = tiny(fdam=BOTH, **options).eval()
        model.init_weights()
        x = torch.randn(1, 3, 64, 64)
        assert_close(model(x), tuple(plain(x)), 1e-3)

    other = tiny(embed_dims=32, init_cfg=dict(type="Pretrained", checkpoint=str(file)))
    with pytest.raises(CheckpointMismatchError, match="shapes differ"):
        other.init_weights()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(num_stages=3), "need 3 values"),
        (dict(strides=(4, 2, 2)), r"got \[4, 4, 4, 3, 4\]"),
        (dict(out_indices=(0, 4)), "outside 0 .. 3"),
        (dict(out_indices=(3, 0)), "must ascend without duplicates"),
        (dict(pretrained="a", init_cfg=dict(type="Pretrained", checkpoint="b")), "not both"),
        (dict(fdam=dict(attinv=True)), r"fdam has no setting \['attinv'\]"),
        (dict(fdam=dict(att_inv=dict(value_sourc="query"))), "it has .*'value_source'"),
        (dict(fdam=dict(att_inv=dict(value_source="keys"))), "choose one of .'query', 'reduced'"),
        (dict(fdam=dict(freq_scale=dict(value_source="query"))), "freq_scale has no setting"),
        (dict(fdam=dict(freq_scale=dict(groups=5))), "not a multiple of groups"),
    ],
)
def test_clear_errors(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_plain_vit_has_no_value_source() -> None:
    fdam = dict(att_inv=dict(value_source="query"))
    with pytest.raises(ValueError, match=r"fdam.att_inv has no setting \['value_source'\]"):
        FDAMVisionTransformer(num_layers=1, out_indices=0, fdam=fdam)
