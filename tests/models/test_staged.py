"""The families of stages: official numbers, and what all of them must do."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmcv.cnn.bricks import DropPath
from support import golden_backbones
from support.golden import Case, load_case, relative_error, thinned
from support.staged_families import DIMS, FAMILIES
from torch import Tensor, nn

from fdam_mm.checkpoints import convert, detect
from fdam_mm.errors import CheckpointMismatchError, ConfigError
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.models.backbones.staged import StagedBackbone

BOTH = dict(att_inv=True, freq_scale=dict(mlp_ratio=1))
CASES = {"nat": "dinat_tiny", "sgformer": "sgformer_blocks"}
family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def tiny(family: str, **options: Any) -> StagedBackbone:
    backbone, settings = FAMILIES[family]
    return backbone(**{**settings, **options})


def golden_case(family: str) -> Case:
    return load_case(CASES.get(family, f"{family}_tiny"))


def near(family: str) -> float:
    """How little a small change changes: SG-Former sorts its tokens, and a few change places."""
    return 0.1 if family == "sgformer" else 1e-3


def strong(model: nn.Module) -> nn.Module:
    """Give FDAM's layers and LayerScale parameters that show in the output."""
    for name, parameter in model.named_parameters():
        if "gamma" in name:
            nn.init.normal_(parameter, std=0.5)
    for layer in (m for m in model.modules() if isinstance(m, FreqScale)):
        nn.init.normal_(layer.bases, std=0.5)
        nn.init.normal_(layer.reweight.fc2.weight)
    return model


def random_loss(outs: tuple[Tensor, ...]) -> Tensor:
    """Weighted at random: the sum of a normed map does not depend on what comes before."""
    return sum((out * torch.randn_like(out)).sum() for out in outs)


@family
def test_golden(family: str) -> None:
    case = golden_case(family)
    found = golden_backbones.outputs(case.spec, case.state, case.inputs)
    assert found.keys() == case.outputs.keys()
    for name, expected in case.outputs.items():
        stored = case.spec["outputs"][name]
        assert list(found[name].shape) == stored["full_shape"], name
        assert relative_error(thinned(found[name], stored["stored"]), expected) < 3e-5, name


@family
def test_starts_from_the_authors_file(family: str, tmp_path: Path) -> None:
    """Classifiers are left out, norms on the outputs may be new, and FDAM starts near plain."""
    case = golden_case(family)
    support = golden_backbones.family(case.spec)
    assert detect(case.state) == family and detect(convert(case.state)) is None
    classifier = {f"{name}.weight": torch.zeros(4, 4) for name in support.CLASSIFIER}
    state = {k: v for k, v in (classifier | case.state).items() if not k.startswith(support.NEW)}
    file = tmp_path / "file.pth"
    torch.save({"model": state}, file)
    init_cfg = dict(type="Pretrained", checkpoint=str(file))
    model = support.build(case.spec, init_cfg=init_cfg, fdam=dict(att_inv=True)).eval()
    plain = support.build(case.spec).eval()
    model.init_weights()
    assert plain.load_state_dict(convert(state), strict=False).unexpected_keys == []
    x = next(iter(case.inputs.values()))
    with torch.no_grad():
        for found, expected in zip(model(x), plain(x), strict=True):
            assert relative_error(found, expected) < near(family)
    other = tiny(family, init_cfg=init_cfg)
    with pytest.raises(CheckpointMismatchError, match="does not fit"):
        other.init_weights()


@family
def test_a_segmentors_file_keeps_its_other_parts(family: str) -> None:
    case = golden_case(family)
    segmentor = {f"backbone.{key}": value for key, value in case.state.items()}
    segmentor["decode_head.conv_seg.weight"] = torch.zeros(2, 2)
    expected = {f"backbone.{key}" for key in convert(case.state)}
    assert convert(segmentor).keys() == expected | {"decode_head.conv_seg.weight"}


@family
@pytest.mark.parametrize("size", [(64, 64), (75, 97), (33, 70)])
def test_fdam_starts_near_plain_on_every_grid(family: str, size: tuple[int, int]) -> None:
    plain, model = tiny(family).eval(), tiny(family, fdam=BOTH).eval()
    assert not model.load_state_dict(plain.state_dict(), strict=False).unexpected_keys
    assert any(isinstance(m, AttInv) and m.high for m in model.modules())
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        expected = plain(x)
        for i, (ours, theirs) in enumerate(zip(model(x), expected, strict=True)):
            first = [side // 4 if family == "crossformer" else -(-side // 4) for side in size]
            grid = tuple(-(-side // 2**i) for side in first)
            assert ours.shape == (2, FAMILIES[family][1]["embed_dims"][i], *grid)
            assert ours.is_contiguous()
            assert relative_error(ours, theirs) < near(family)
        for i, (ours, theirs) in enumerate(zip(strong(model)(x), expected, strict=True)):
            assert torch.isfinite(ours).all()
            if family != "mambavision" or i > 1:  # whose first stages are convolutions
                assert relative_error(ours, theirs) > 1e-3


@family
@pytest.mark.parametrize("fdam", [None, BOTH], ids=["plain", "fdam"])
def test_every_parameter_learns(family: str, fdam: dict | None) -> None:
    model = strong(tiny(family, fdam=fdam)).train()
    random_loss(model(torch.randn(2, 3, 75, 64))).backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # one constant per head on all logits, which the softmax takes away
    assert not [name for name in idle if not name.endswith("position.layers.2.2.bias")]


@family
@pytest.mark.parametrize("fdam", [None, BOTH], ids=["plain", "fdam"])
def test_checkpointing_changes_nothing(family: str, fdam: dict | None) -> None:
    """Also not the running statistics, though each block runs twice."""
    model = strong(tiny(family, fdam=fdam, drop_path_rate=0.3)).train()
    x, results = torch.randn(2, 3, 64, 64), []
    for with_cp in (False, True):
        tried = copy.deepcopy(model)
        tried.with_cp = with_cp
        torch.manual_seed(3)
        random_loss(tried(x)).backward()
        grads = {name: p.grad for name, p in tried.named_parameters()}
        results.append((grads, dict(tried.named_buffers())))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


@family
def test_frozen_stages(family: str) -> None:
    model = tiny(family, frozen_stages=2, fdam=BOTH).train()
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    random_loss(model(torch.randn(2, 3, 64, 64))).backward()
    optimizer.step()
    changed = {
        name.split(".")[1] for name, value in model.state_dict().items()
        if name.startswith("stages.") and not torch.equal(value, before[name])
    }  # fmt: skip
    assert changed == {"2", "3"}
    assert not any(stage.training for stage in model.stages[:2])
    assert all(p.requires_grad for p in tiny(family, frozen_stages=0).parameters())


@family
def test_settings(family: str) -> None:
    model = tiny(family, in_channels=5, out_indices=(1, -1), drop_path_rate=0.3)
    outs = model(torch.randn(2, 5, 64, 64))
    _, second, _, last = FAMILIES[family][1]["embed_dims"]
    assert [tuple(out.shape[1:]) for out in outs] == [(second, 8, 8), (last, 2, 2)]
    rates = {m.drop_prob for m in model.modules() if isinstance(m, DropPath)}
    assert (min(rates), max(rates)) == (0, pytest.approx(0.3))


@family
def test_bfloat16_autocast(family: str) -> None:
    model = strong(tiny(family, fdam=BOTH)).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        outs = model(x)
        loss = sum(out.float().square().mean() for out in outs)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    for half, full in zip(outs, model(x), strict=True):
        assert relative_error(half.float(), full) < (0.4 if family == "sgformer" else 0.1)


@family
@pytest.mark.filterwarnings("ignore")  # a trace is for one size, which torch says in many places
def test_traces(family: str) -> None:
    model, x = tiny(family).eval(), torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = model(x)
        traced = torch.jit.trace(model, x, check_trace=False)
        for found, theirs in zip(traced(x), expected, strict=True):
            assert relative_error(found, theirs) < 1e-4


@family
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(depths=(1, 1)), "one value per stage"),
        (dict(embed_dims=(16, 32, 0, 48)), r"embed_dims\[2\] is 0"),
        (dict(frozen_stages=5), r"expected -1 \.\. 4"),
        (dict(out_indices=(0, 4)), "outside 0 .. 3"),
        (dict(out_indices=(3, 0)), "must ascend without duplicates"),
        (dict(drop_path_rate=2), "drop_path_rate"),
        (dict(with_cp="yes"), "with_cp"),
        (dict(in_chans=4), "write in_channels"),
        (dict(depth=(1, 1, 1, 1)), "near it: depths"),
        (dict(fdam=dict(attinv=True)), r"fdam has no setting \['attinv'\]"),
    ],
    ids=str,
)
def test_clear_errors(family: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(family, **options)


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("l2vit", dict(num_heads=(1, 3, 2, 4)), "embed_dims 32 is not a multiple of num_heads 3"),
        ("l2vit", dict(block_types=("shifted",)), "expected some of"),
        ("l2vit", dict(dims=DIMS), "write embed_dims"),
        ("l2vit", dict(block_type="local"), "block_types"),
        ("crossformer", dict(merge_sizes=((2, 4),)), "merge_sizes has 1 values, expected 3"),
        ("crossformer", dict(patch_sizes=(4, 7)), "the stride 4 and an even number more"),
        ("crossformer", dict(use_acl=True), "write cooling"),
        ("stvit", dict(layer_scale_inits=(None,)), "one value per stage"),
        ("stvit", dict(stoken_size=(8, 4, 1, 1)), "write cell_sizes"),
        ("nat", dict(kernel_size=4), "expected an odd number"),
        ("nat", dict(dilations=(1, 2, 3, 4)), r"dilations\[0\] is 1, expected a list"),
        ("nat", dict(dilations=((1,), (1,))), "one value per stage"),
        ("nat", dict(embed_dim=64), "write embed_dims"),
        ("vmamba", dict(conv_size=2), "expected an odd number"),
        ("vmamba", dict(forward_type="v2"), "has no gate"),
        ("attnet", dict(kernel_sizes=(3, 3, 4, 3)), "expected odd numbers"),
        ("attnet", dict(glu_norm=(True, True, True, 1)), "glu_norm is 1"),
        ("attnet", dict(use_layer_scale=False), "layer_scale_init=None"),
        ("soft", dict(num_heads=(1, 2, 3, 4)), "embed_dims 32 is not a multiple of num_heads 3"),
        ("soft", dict(mlp_ratios=(8, 8, 4, 4)), "write mlp_ratio"),
        ("soft", dict(normalized=1), "normalized"),
        ("sgformer", dict(num_heads=(1, 2, 4, 4)), "expected even numbers"),
        ("mambavision", dict(window_sizes=(8, 8, 4, 8)), "each of the last two"),
        ("mambavision", dict(num_heads=(1, 1, 3, 4)), "not a multiple of num_heads 3"),
        ("mambavision", dict(in_dim=8), "write stem_channels"),
        ("sgformer", dict(embed_dims=(18, 32, 32, 48)), "a multiple of 4"),
    ],
)
def test_clear_errors_of_one_family(family: str, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny(family, **options)
