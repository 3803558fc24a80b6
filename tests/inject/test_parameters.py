"""FDAM's parameters apart from the model's: to train, to save, to load."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fdam_mm import (
    apply_fdam,
    fdam_parameters,
    fdam_state_dict,
    freeze_except_fdam,
    load_fdam_state_dict,
    remove_fdam,
)
from fdam_mm.errors import CheckpointMismatchError, UsageError
from fdam_mm.layers import AttInv, FreqScale

timm = pytest.importorskip("timm")
from support.timm_models import CASES, Case, let_everything_count, random_image  # noqa: E402


def _vit(seed: int = 0) -> nn.Module:
    model = CASES["vit"].build().eval()
    torch.manual_seed(seed)
    apply_fdam(model)
    for parameter in fdam_parameters(model):
        nn.init.normal_(parameter, std=0.1)
    return model


def _output(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(random_image((64, 64)))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_exactly_what_was_added(case: Case) -> None:
    model = case.build()
    plain = model.state_dict()
    report = apply_fdam(model, **case.apply)
    state = fdam_state_dict(model)
    assert list(state) == [key for key in model.state_dict() if key not in plain]
    parameters = list(fdam_parameters(model))
    named = dict(model.named_parameters())
    assert {id(p) for p in parameters} == {id(named[key]) for key in state}
    assert len(parameters) == len(state)

    counts = freeze_except_fdam(model)
    assert counts.trained == report.parameters
    assert sum(counts) == sum(p.numel() for p in model.parameters())
    model.train()
    assert [n for n, p in named.items() if p.requires_grad] == [n for n in named if n in state]

    let_everything_count(model)
    twin = case.build()
    apply_fdam(twin, **case.apply)
    load_fdam_state_dict(twin, fdam_state_dict(model))
    for key, value in fdam_state_dict(twin).items():
        assert torch.equal(value, model.state_dict()[key])


def test_saved_apart_and_loaded_into_another(tmp_path: Path) -> None:
    """The rest stays, and the numbers are the first model's where the rest is."""
    model = _vit()
    torch.save(fdam_state_dict(model), tmp_path / "fdam.pth")
    twin = _vit(seed=1)
    assert not torch.allclose(_output(twin), _output(model))
    load_fdam_state_dict(twin, torch.load(tmp_path / "fdam.pth", weights_only=True))
    assert torch.equal(_output(twin), _output(model))


def test_training_moves_fdam_alone() -> None:
    model = _vit().train()
    before = copy.deepcopy(model.state_dict())
    modes = {n: m.training for n, m in model.named_modules()}
    freeze_except_fdam(model)
    assert {n: m.training for n, m in model.named_modules()} == modes
    optimizer = torch.optim.AdamW(fdam_parameters(model), lr=0.1)
    model.train()(random_image((64, 64))).square().sum().backward()
    optimizer.step()
    moved = [k for k, v in model.state_dict().items() if not torch.equal(v, before[k])]
    assert moved == list(fdam_state_dict(model))


def test_shared_and_wrapped_layers() -> None:
    """A block under two names, a layer in a wrapper: each parameter once, all keys."""
    model = _vit()
    model.again = model.blocks[0]
    model.blocks[1].freq_scale_1 = nn.Sequential(model.blocks[1].freq_scale_1)
    keys = [k for k in model.state_dict() if ".att_inv." in f".{k}" or ".freq_scale_" in f".{k}"]
    state = fdam_state_dict(model)
    assert list(state) == keys
    assert {k for k in state if k.startswith("again.freq_scale_2.")}
    assert {k for k in state if k.startswith("blocks.1.freq_scale_1.0.")}
    parameters = list(fdam_parameters(model))
    assert (
        len({id(p) for p in parameters}) == len(parameters) == len(list(fdam_parameters(_vit())))
    )
    load_fdam_state_dict(model, {k: torch.zeros_like(v) for k, v in state.items()})
    assert not any(p.any() for p in fdam_parameters(model))


def test_another_state_is_refused_and_nothing_loaded() -> None:
    model = _vit()
    before = copy.deepcopy(model.state_dict())
    state = {k: torch.zeros_like(v) for k, v in fdam_state_dict(model).items()}
    first, second, *_ = state
    wrong = {**state, "blocks.7.att_inv.gamma": torch.zeros(1), second: torch.zeros(3, 1)}
    del wrong[first]
    with pytest.raises(CheckpointMismatchError) as error:
        load_fdam_state_dict(model, wrong)
    lines = str(error.value).splitlines()
    assert lines[0].endswith("nothing was loaded")
    assert lines[1].strip() == f"1 missing: {first}"
    assert lines[2].strip() == "1 unexpected: blocks.7.att_inv.gamma"
    assert f"of another shape: {second}: (3, 1), the model has" in lines[3]
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
    with pytest.raises(CheckpointMismatchError, match="unexpected"):
        load_fdam_state_dict(model, model.state_dict())
    with pytest.raises(UsageError, match=r"takes a state dict, got str.*torch\.load"):
        load_fdam_state_dict(model, "fdam.pth")


@pytest.mark.parametrize(
    "function", [fdam_parameters, freeze_except_fdam, fdam_state_dict, remove_fdam]
)
def test_where_there_is_none(function) -> None:
    model = CASES["vit"].build()
    with pytest.raises(UsageError, match="VisionTransformer has no FDAM"):
        function(model)
    assert all(p.requires_grad for p in model.parameters())
    with pytest.raises(UsageError, match="no FDAM"):
        load_fdam_state_dict(model, {})


def test_a_layer_alone() -> None:
    layer = FreqScale(32)
    assert list(fdam_state_dict(layer)) == list(layer.state_dict())
    load_fdam_state_dict(layer, fdam_state_dict(FreqScale(32)))
    off = AttInv(32, 4, low=False, high=False)
    with pytest.raises(UsageError, match="no FDAM"):
        fdam_parameters(off)


def _ours(name: str) -> nn.Module:
    pytest.importorskip("mmcv")
    from fdam_mm.models import FDAMMixVisionTransformer, FDAMVisionTransformer, LSKNet

    fdam = dict(att_inv=True, freq_scale=True)
    if name == "vit":
        small = dict(img_size=64, embed_dims=64, num_layers=2, num_heads=4, out_indices=(1,))
        return FDAMVisionTransformer(**small, fdam=fdam)
    if name == "mit":
        return FDAMMixVisionTransformer(embed_dims=16, num_layers=[1, 1, 1, 1], fdam=fdam)
    return LSKNet(embed_dims=(32, 32, 32, 32), depths=(1, 1, 1, 1), fdam=fdam)


@pytest.mark.parametrize("name", ["vit", "mit", "lsknet"])
def test_our_own_backbones(name: str) -> None:
    model = _ours(name)
    counts = freeze_except_fdam(model)
    model.train()
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trained == {n for n in model.state_dict() if "att_inv." in n or "freq_scale_" in n}
    assert counts.trained == sum(p.numel() for p in fdam_parameters(model))
    zeros = {k: torch.zeros_like(v) for k, v in fdam_state_dict(model).items()}
    assert set(zeros) == trained
    load_fdam_state_dict(model, zeros)
    assert not any(p.any() for p in fdam_parameters(model))
    with pytest.raises(UsageError, match="no FDAM that apply_fdam put in"):
        remove_fdam(model)


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile], ids=["DataParallel", "compile"])
def test_names_are_those_of_the_model_inside(wrap: Callable[[nn.Module], nn.Module]) -> None:
    model, twin = _vit(), _vit(seed=1)
    wrapped = wrap(model)
    state = fdam_state_dict(wrapped)
    assert list(state) == list(fdam_state_dict(model))
    load_fdam_state_dict(twin, state)
    assert torch.equal(_output(twin), _output(model))
    load_fdam_state_dict(wrap(twin), {key: value * 0 for key, value in state.items()})
    assert not any(value.any() for value in fdam_state_dict(twin).values())
    assert freeze_except_fdam(wrapped) == freeze_except_fdam(model)


class _WithHead(nn.Module):
    """A ViT under a head with batch norms, one of which stands in the backbone's place."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.norm = _vit(), nn.BatchNorm1d(5)
        self.decode_head = nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5), nn.Dropout())
        self.again = self.decode_head[0]  # under a second name

    def forward(self, x: Tensor) -> Tensor:
        return self.decode_head(self.norm(self.backbone(x)))


def test_a_head_is_trained_as_well() -> None:
    model = _WithHead()
    model.decode_head.append(nn.Linear(5, 5))
    del model.decode_head[2]
    counts = freeze_except_fdam(model, also="decode_head")
    head = sum(p.numel() for p in model.decode_head.parameters())
    assert counts.trained == sum(p.numel() for p in fdam_parameters(model)) + head
    before = copy.deepcopy(model.state_dict())
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    optimizer.step()
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    state = fdam_state_dict(model, also="decode_head")
    assert moved <= {*state} and "backbone.blocks.0.freq_scale_1.reweight.act.bias" in moved
    assert {"decode_head.1.running_mean", "again.weight"} <= moved  # its second name too

    twin = _WithHead()
    twin.decode_head.append(nn.Linear(5, 5))
    del twin.decode_head[2]
    twin.load_state_dict({k: v for k, v in before.items() if k not in state}, strict=False)
    load_fdam_state_dict(twin, state, also=["decode_*"])
    for key, value in model.state_dict().items():
        assert torch.equal(value, twin.state_dict()[key])


def test_frozen_statistics_are_kept_and_given_back() -> None:
    model = nn.ModuleDict(dict(fdam=FreqScale(32), norm=nn.BatchNorm1d(32)))
    norm, x = model.norm, torch.randn(8, 32)
    freeze_except_fdam(model)
    freeze_except_fdam(copy.deepcopy(model).train())
    assert torch.equal(model.train().norm(x), nn.functional.batch_norm(
        x, norm.running_mean, norm.running_var, norm.weight, norm.bias
    ))  # fmt: skip
    assert norm.num_batches_tracked == 0 and len(norm._forward_pre_hooks) == 1
    torch.compile(model.train().norm, backend="eager", fullgraph=True)(x)
    assert norm.num_batches_tracked == 0
    norm.requires_grad_(True)
    model.train().norm(x)
    assert norm.num_batches_tracked == 1
    freeze_except_fdam(model, also="norm")
    assert not norm._forward_pre_hooks and norm.weight.requires_grad


def test_removing_leaves_no_hook_of_a_frozen_norm() -> None:
    model = nn.Sequential(CASES["vit"].build(), nn.BatchNorm1d(5))
    apply_fdam(model)
    freeze_except_fdam(model)
    assert model[1]._forward_pre_hooks
    remove_fdam(model)
    assert not model[1]._forward_pre_hooks


def test_patterns_that_match_nothing() -> None:
    model = _WithHead()
    with pytest.raises(UsageError, match=r"'decode_haed' matches .* near it: decode_head"):
        freeze_except_fdam(model, also="decode_haed")
    assert all(p.requires_grad for p in model.parameters())
    with pytest.raises(TypeError, match="also must be a pattern"):
        fdam_state_dict(model, also=3)
